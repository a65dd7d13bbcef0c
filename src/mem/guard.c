/* SPDX-License-Identifier: MIT */
/*
 * Guarded copies.  Memory that belongs to a program may vanish while we touch
 * it: a file is truncated, a mapping removed.  All such touches are the few
 * instructions between guard_begin and guard_end; a SIGSEGV or SIGBUS raised
 * there makes the handler continue at guard_fixup, which returns -EFAULT to
 * the caller, or first at guard_bytes, to copy what can be.  The instructions keep
 * nothing on the stack, so that is all.
 *
 * They are assembly for one more reason: no sanitizer looks at them.
 *
 * The handler is the one thing this library cannot keep per system.  It is
 * installed once, and passes on every fault that is not its own.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/types.h"
#include "mem/guard.h"
#include "mem/mem_priv.h"

#ifdef __x86_64__

extern const char guard_begin[] __attribute__((visibility("hidden")));
extern const char guard_end[] __attribute__((visibility("hidden")));
extern const char guard_fixup[] __attribute__((visibility("hidden")));
extern const char guard_bytes[] __attribute__((visibility("hidden")));
extern const char guard_chunks[] __attribute__((visibility("hidden")));
extern const char guard_chunks_end[] __attribute__((visibility("hidden")));
int guard_asm_copy(void *dst, const void *src, size_t len) __attribute__((visibility("hidden")));
int guard_asm_read(const void *ptr) __attribute__((visibility("hidden")));
int guard_asm_write(void *ptr) __attribute__((visibility("hidden")));
int guard_asm_load64(const u64 *ptr, u64 *ret) __attribute__((visibility("hidden")));
int guard_asm_cas64(u64 *ptr, u64 *old, u64 value) __attribute__((visibility("hidden")));
/* *@value is the operand, and what was there afterwards. */
int guard_asm_add4(void *ptr, u64 *value) __attribute__((visibility("hidden")));
int guard_asm_add8(void *ptr, u64 *value) __attribute__((visibility("hidden")));
int guard_asm_swap4(void *ptr, u64 *value) __attribute__((visibility("hidden")));
int guard_asm_swap8(void *ptr, u64 *value) __attribute__((visibility("hidden")));
int guard_asm_cas4(void *ptr, u64 *value, u64 operand) __attribute__((visibility("hidden")));

__asm__(".pushsection .text\n"
	".hidden guard_begin, guard_end, guard_fixup\n"
	".hidden guard_bytes, guard_chunks, guard_chunks_end\n"
	".globl guard_bytes, guard_chunks, guard_chunks_end\n"
	".hidden guard_asm_copy, guard_asm_read, guard_asm_write\n"
	".hidden guard_asm_add4, guard_asm_add8, guard_asm_swap4, guard_asm_swap8\n"
	".hidden guard_asm_cas4\n"
	".globl guard_asm_add4, guard_asm_add8, guard_asm_swap4, guard_asm_swap8\n"
	".globl guard_asm_cas4\n"
	".hidden guard_asm_load64, guard_asm_cas64\n"
	".globl guard_begin, guard_end, guard_fixup\n"
	".globl guard_asm_copy, guard_asm_read, guard_asm_write\n"
	".globl guard_asm_load64, guard_asm_cas64\n"
	".type guard_asm_copy, @function\n"
	".type guard_asm_read, @function\n"
	".type guard_asm_write, @function\n"
	".p2align 5\n"
	"guard_begin:\n"
	"guard_asm_copy:\n" /* (rdi, rsi, rdx), as memcpy() has them */
	"	cmpq	$8, %rdx\n"
	"	je	8f\n"
	"	cmpq	$4, %rdx\n"
	"	je	4f\n"
	"	movq	%rdx, %rcx\n"
	"	cmpq	$1024, %rcx\n" /* a string instruction takes its time to begin */
	"	jbe	1f\n"
	"guard_bytes:\n"
	"	rep movsb\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	"1:	cmpq	$64, %rcx\n"
	"	jb	3f\n"
	/* %rcx bytes are left from %rsi to %rdi wherever one of these faults. */
	"guard_chunks:\n"
	"2:	movdqu	(%rsi), %xmm0\n"
	"	movdqu	16(%rsi), %xmm1\n"
	"	movdqu	32(%rsi), %xmm2\n"
	"	movdqu	48(%rsi), %xmm3\n"
	"	movdqu	%xmm0, (%rdi)\n"
	"	movdqu	%xmm1, 16(%rdi)\n"
	"	movdqu	%xmm2, 32(%rdi)\n"
	"	movdqu	%xmm3, 48(%rdi)\n"
	"	addq	$64, %rsi\n"
	"	addq	$64, %rdi\n"
	"	subq	$64, %rcx\n"
	"	cmpq	$64, %rcx\n"
	"	jae	2b\n"
	"3:	cmpq	$8, %rcx\n"
	"	jb	6f\n"
	"5:	movq	(%rsi), %rax\n"
	"	movq	%rax, (%rdi)\n"
	"	addq	$8, %rsi\n"
	"	addq	$8, %rdi\n"
	"	subq	$8, %rcx\n"
	"	cmpq	$8, %rcx\n"
	"	jae	5b\n"
	"guard_chunks_end:\n"
	"6:	testq	%rcx, %rcx\n"
	"	jz	9f\n"
	"7:	movb	(%rsi), %al\n"
	"	movb	%al, (%rdi)\n"
	"	incq	%rsi\n"
	"	incq	%rdi\n"
	"	decq	%rcx\n"
	"	jnz	7b\n"
	"9:	xorl	%eax, %eax\n"
	"	ret\n"
	"8:	movq	(%rsi), %rax\n"
	"	movq	%rax, (%rdi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	"4:	movl	(%rsi), %eax\n"
	"	movl	%eax, (%rdi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_read:\n"
	"	movzbl	(%rdi), %eax\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_write:\n" /* needs the permission, changes nothing */
	"	lock orb $0, (%rdi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_load64:\n"
	"	movq	(%rdi), %rax\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_cas64:\n"
	"	movq	(%rsi), %rax\n"
	"	lock cmpxchgq %rdx, (%rdi)\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_add4:\n"
	"	movq	(%rsi), %rax\n"
	"	lock xaddl %eax, (%rdi)\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_add8:\n"
	"	movq	(%rsi), %rax\n"
	"	lock xaddq %rax, (%rdi)\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_swap4:\n"
	"	movq	(%rsi), %rax\n"
	"	xchgl %eax, (%rdi)\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_swap8:\n"
	"	movq	(%rsi), %rax\n"
	"	xchgq %rax, (%rdi)\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	".p2align 4\n"
	"guard_asm_cas4:\n"
	"	movq	(%rsi), %rax\n"
	"	lock cmpxchgl %edx, (%rdi)\n"
	"	movq	%rax, (%rsi)\n"
	"	xorl	%eax, %eax\n"
	"	ret\n"
	"guard_end:\n"
	"guard_fixup:\n"
	"	movl	$-14, %eax\n"
	"	ret\n"
	".popsection\n");

_Static_assert(EFAULT == 14, "guard_fixup returns -EFAULT by number");

bool guard_handle_fault(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	uintptr_t ip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

	/* Only faults of the instruction itself: not a signal somebody sent at that moment. */
	if ((sig != SIGSEGV && sig != SIGBUS) || info->si_code <= 0)
		return false;
	if (ip < (uintptr_t)guard_begin || ip >= (uintptr_t)guard_end)
		return false;
	/* What of a chunk comes before the hole is to be copied, too: byte by byte. */
	if (ip >= (uintptr_t)guard_chunks && ip < (uintptr_t)guard_chunks_end)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)guard_bytes;
	else
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)guard_fixup;
	return true;
}

#else

/* No assembly for this machine: the kernel copies, and says so when it meets a hole. */
static int guard_asm_copy(void *dst, const void *src, size_t len)
{
	struct iovec to = { dst, len }, from = { (void *)(uintptr_t)src, len };
	ssize_t n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);

	return n == (ssize_t)len ? 0 : -EFAULT;
}

static int guard_asm_touch(uintptr_t addr, int advice)
{
	return madvise((void *)ALIGN_DOWN(addr, PAGE_SIZE), PAGE_SIZE, advice) ? -EFAULT : 0;
}

#define GUARD_ATOMIC(name, type, expr)                                                             \
	static int guard_asm_##name(void *ptr, u64 *value, u64 operand)                            \
	{                                                                                          \
		type *at = ptr, old = (type)*value;                                                \
		if (guard_asm_write(ptr))                                                          \
			return -EFAULT;                                                            \
		expr;                                                                              \
		*value = old;                                                                      \
		return 0;                                                                          \
	}

static int guard_asm_write(void *ptr);
/* Between the touch and the operation the memory may still vanish: no better way is known here. */
GUARD_ATOMIC(add4_, u32, old = __atomic_fetch_add(at, old, __ATOMIC_SEQ_CST))
GUARD_ATOMIC(add8_, u64, old = __atomic_fetch_add(at, old, __ATOMIC_SEQ_CST))
GUARD_ATOMIC(swap4_, u32, old = __atomic_exchange_n(at, old, __ATOMIC_SEQ_CST))
GUARD_ATOMIC(swap8_, u64, old = __atomic_exchange_n(at, old, __ATOMIC_SEQ_CST))
GUARD_ATOMIC(cas4, u32,
	     __atomic_compare_exchange_n(at, &old, (u32)operand, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
#define guard_asm_add4(ptr, value) guard_asm_add4_(ptr, value, 0)
#define guard_asm_add8(ptr, value) guard_asm_add8_(ptr, value, 0)
#define guard_asm_swap4(ptr, value) guard_asm_swap4_(ptr, value, 0)
#define guard_asm_swap8(ptr, value) guard_asm_swap8_(ptr, value, 0)

static int guard_asm_read(const void *ptr)
{
	return guard_asm_touch((uintptr_t)ptr, 22 /* MADV_POPULATE_READ */);
}

static int guard_asm_write(void *ptr)
{
	return guard_asm_touch((uintptr_t)ptr, 23 /* MADV_POPULATE_WRITE */);
}

/* Between the touch and the access the memory can go: a window this machine has to live with. */
static int guard_asm_load64(const u64 *ptr, u64 *ret)
{
	int rc = guard_asm_read(ptr);

	if (!rc)
		*ret = __atomic_load_n(ptr, __ATOMIC_SEQ_CST);
	return rc;
}

static int guard_asm_cas64(u64 *ptr, u64 *old, u64 value)
{
	int rc = guard_asm_write(ptr);

	if (!rc)
		__atomic_compare_exchange_n(ptr, old, value, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
	return rc;
}

bool guard_handle_fault(int sig, siginfo_t *info, void *ucontext)
{
	return false;
}

#endif

static struct sigaction guard_previous[2]; /* SIGSEGV, SIGBUS; written once, by guard_setup() */
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;

static struct sigaction *previous_action(int sig)
{
	return &guard_previous[sig == SIGBUS];
}

/* Let happen what would have happened without us. */
static void guard_default(int sig, siginfo_t *info, bool ignore)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	if (ignore && info->si_code <= 0)
		return;
	sigaction(sig, &dfl, NULL);
	/*
	 * A fault repeats when the instruction does; a signal that was sent has to be sent again.
	 */
	if (info->si_code <= 0)
		raise(sig);
}

static void guard_on_signal(int sig, siginfo_t *info, void *ucontext)
{
	const struct sigaction *previous = previous_action(sig);
	int saved_errno = errno;

	if (guard_handle_fault(sig, info, ucontext))
		return;
	if (previous->sa_flags & SA_SIGINFO)
		previous->sa_sigaction(sig, info, ucontext);
	else if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN)
		guard_default(sig, info, previous->sa_handler == SIG_IGN);
	else
		previous->sa_handler(sig);
	errno = saved_errno;
}

static void guard_setup_signal(int sig)
{
	struct sigaction *previous = previous_action(sig);
	struct sigaction action = { .sa_sigaction = guard_on_signal };

	sigaction(sig, NULL, previous);
	/* Run the way the previous handler expects to be run. */
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | (previous->sa_flags & SA_NODEFER);
	action.sa_mask = previous->sa_mask;
	sigaction(sig, &action, NULL);
}

static void guard_setup(void)
{
	guard_setup_signal(SIGSEGV);
	guard_setup_signal(SIGBUS);
}

void guard_install(void)
{
	pthread_once(&guard_once, guard_setup);
}

int guard_touch_read(const void *ptr)
{
	return guard_asm_read(ptr);
}

int guard_touch_write(void *ptr)
{
	return guard_asm_write(ptr);
}

int mem_guard_copy(void *dst, const void *src, size_t len)
{
	return guard_asm_copy(dst, src, len);
}

int guard_load64(const u64 *ptr, u64 *ret)
{
	return guard_asm_load64(ptr, ret);
}

int guard_cas64(u64 *ptr, u64 *old, u64 value)
{
	return guard_asm_cas64(ptr, old, value);
}

int mem_guard_add(void *ptr, size_t size, u64 operand, u64 *ret_old)
{
	u64 value = size == 4 ? (u32)operand : operand;
	int rc = size == 4 ? guard_asm_add4(ptr, &value) : guard_asm_add8(ptr, &value);

	if (!rc)
		*ret_old = value;
	return rc;
}

int mem_guard_swap(void *ptr, size_t size, u64 operand, u64 *ret_old)
{
	u64 value = size == 4 ? (u32)operand : operand;
	int rc = size == 4 ? guard_asm_swap4(ptr, &value) : guard_asm_swap8(ptr, &value);

	if (!rc)
		*ret_old = value;
	return rc;
}

int mem_guard_compare_swap(void *ptr, size_t size, u64 compare, u64 operand, u64 *ret_old)
{
	u64 value = size == 4 ? (u32)compare : compare;
	int rc = size == 4 ? guard_asm_cas4(ptr, &value, operand) :
			     guard_asm_cas64(ptr, &value, operand);

	if (!rc)
		*ret_old = value;
	return rc;
}
