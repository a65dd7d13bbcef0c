/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS.  The core touches memory of the program's that may have
 * gone, and survives by a signal handler; the program may want these signals
 * too.  So the real handler is ours from the moment either of them asks: it
 * lets the guard have its faults and does for all others what the program's
 * own action says, which is kept here and shown to the program when it asks.
 *
 * The program's flags and mask are the real ones, so that its handler runs on
 * the stack and with the signals blocked that it wants.  Only SA_RESETHAND is
 * done here: the kernel would take our handler away with the program's.
 */
#include "host/preload/preload.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem/guard.h"

#define ACTIONS 16

/**
 * struct signal_slot - one of the two signals
 * @program: what the program believes to be installed; NULL: not asked for yet
 * @actions: what @program points at, used in turn.  A handler copies the action it finds, and
 *	would have to be overtaken by as many sigaction() calls to see one change.
 * @next: index of the next one
 * @guard: the core needs the signal, whatever the program wants
 *
 * No lock, since sigaction() may be called by signal handlers and by children after fork().
 */
struct signal_slot {
	const struct sigaction *_Atomic program;
	struct sigaction actions[ACTIONS];
	_Atomic u32 next;
	_Atomic bool guard;
};

static struct signal_slot slots[2];

static const struct sigaction default_program = { .sa_handler = SIG_DFL };

static struct signal_slot *slot_of(int sig)
{
	return sig == SIGSEGV ? &slots[0] : sig == SIGBUS ? &slots[1] : NULL;
}

static const struct sigaction *slot_keep(struct signal_slot *slot, const struct sigaction *action)
{
	u32 i = atomic_fetch_add_explicit(&slot->next, 1, memory_order_relaxed) % ACTIONS;

	slot->actions[i] = *action;
	return &slot->actions[i];
}

/* ---- the handler ---- */

/* Let happen what would without any handler: the process ends of this very signal. */
static void default_action(int sig, const siginfo_t *info)
{
	NEXT(sigaction)(sig, &default_program, NULL);
	/*
	 * A fault repeats when the instruction does; a signal that was sent has to be sent again.
	 */
	if (info->si_code <= 0)
		syscall(SYS_tgkill, getpid(), gettid(), sig);
}

static void on_signal(int sig, siginfo_t *info, void *ucontext)
{
	struct signal_slot *slot = slot_of(sig);
	const struct sigaction *program;
	int saved_errno = errno;
	struct sigaction action;

	if (guard_handle_fault(sig, info, ucontext))
		return;
	program = atomic_load_explicit(&slot->program, memory_order_acquire);
	action = *program;
	/* With SA_SIGINFO the other member of the union counts, but never these two values. */
	if (action.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL) {
		default_action(sig, info);
		return;
	}
	if (action.sa_flags & SA_RESETHAND)
		atomic_compare_exchange_strong(&slot->program, &program, &default_program);
	errno = saved_errno;
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(sig, info, ucontext);
	else
		action.sa_handler(sig);
}

/* ---- who wants what ---- */

/* What the process was started with, or got before we were here. */
static const struct sigaction *slot_program(int sig, struct signal_slot *slot)
{
	const struct sigaction *program = atomic_load_explicit(&slot->program,
							       memory_order_acquire);
	struct sigaction action;

	if (program)
		return program;
	if (NEXT(sigaction)(sig, NULL, &action))
		action = default_program;
	if (atomic_compare_exchange_strong(&slot->program, &program, slot_keep(slot, &action)))
		program = atomic_load_explicit(&slot->program, memory_order_acquire);
	return program;
}

static bool is_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Make the kernel's action follow from the program's and the guard's wishes of this moment. */
static int slot_apply(int sig, struct signal_slot *slot)
{
	const struct sigaction *program;
	struct sigaction real;
	bool guard;

	do {
		program = atomic_load(&slot->program);
		guard = atomic_load(&slot->guard);
		real = *program;
		if (is_handler(program) || guard) {
			real.sa_sigaction = on_signal;
			real.sa_flags = (program->sa_flags & ~SA_RESETHAND) | SA_SIGINFO;
		}
		/* Nobody's but ours: it should not be noticed, and run when the stack is full. */
		if (!is_handler(program) && guard)
			real.sa_flags |= SA_ONSTACK | SA_RESTART;
		if (NEXT(sigaction)(sig, &real, NULL))
			return -1;
	} while (program != atomic_load(&slot->program) || guard != atomic_load(&slot->guard));
	return 0;
}

int signals_arm(int sig)
{
	struct signal_slot *slot = slot_of(sig);

	(void)slot_program(sig, slot);
	atomic_store(&slot->guard, true);
	return slot_apply(sig, slot);
}

PRELOAD_EXPORT int sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
	struct signal_slot *slot = slot_of(sig);
	struct sigaction previous;

	/* A vfork() child has actions of its own, which last until it executes. */
	if (!slot || preload_is_guest())
		return NEXT(sigaction)(sig, action, old);
	previous = *slot_program(sig, slot);
	if (action) {
		/* Before the real one, which needs it at once. */
		atomic_store(&slot->program, slot_keep(slot, action));
		if (slot_apply(sig, slot))
			return -1;
	}
	if (old)
		*old = previous;
	return 0;
}

static __sighandler_t signal_call(int sig, __sighandler_t handler, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (!(flags & SA_NODEFER))
		sigaddset(&action.sa_mask, sig);
	return sigaction(sig, &action, &old) ? SIG_ERR : old.sa_handler;
}

/* BSD's meaning, which is libc's: the handler stays, calls are restarted. */
PRELOAD_EXPORT __sighandler_t signal(int sig, __sighandler_t handler)
{
	return signal_call(sig, handler, SA_RESTART);
}

__sighandler_t bsd_signal(int sig, __sighandler_t handler);
PRELOAD_EXPORT __sighandler_t bsd_signal(int sig, __sighandler_t handler)
{
	return signal_call(sig, handler, SA_RESTART);
}

PRELOAD_EXPORT __sighandler_t ssignal(int sig, __sighandler_t handler)
{
	return signal_call(sig, handler, SA_RESTART);
}

/* System V's meaning: once, interruptible, not blocked meanwhile. */
#define SYSV_FLAGS (SA_RESETHAND | SA_NODEFER)

PRELOAD_EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler)
{
	return signal_call(sig, handler, SYSV_FLAGS);
}

PRELOAD_EXPORT __sighandler_t sysv_signal(int sig, __sighandler_t handler)
{
	return signal_call(sig, handler, SYSV_FLAGS);
}
