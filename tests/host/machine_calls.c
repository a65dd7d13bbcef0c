/* SPDX-License-Identifier: MIT */
/* Mapped registers that are calls: every kind of access, and everything else of the program's. */
#include "machine.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/time.h>

static int calls;
static volatile u8 *regs;

static void every_size_is_one_access(void)
{
	u64 eight = 0x1122334455667788;
	u8 line[64] __attribute__((aligned(64))), got[64];

	CHECK(regs[0] == 'r' && ioctl(calls, CMD_LAST) == 1);
	*(volatile u16 *)(regs + 16) = 0x1234;
	CHECK(ioctl(calls, CMD_LAST) == 0x102);
	*(volatile u32 *)(regs + 20) = 0xdeadbeef;
	CHECK(ioctl(calls, CMD_LAST) == 0x104);
	CHECK(*(volatile u32 *)(regs + 20) == 0xdeadbeef && ioctl(calls, CMD_LAST) == 4);
	*(volatile u64 *)(regs + 24) = eight;
	CHECK(ioctl(calls, CMD_LAST) == 0x108);
	CHECK(*(volatile u64 *)(regs + 24) == eight);
	CHECK(*(volatile u16 *)(regs + 16) == 0x1234);
	/* What calls see and what traps see is one. */
	CHECK(pread(calls, got, 8, BAR(0) + 24) == 8 && !memcmp(got, &eight, 8));
	for (int i = 0; i < 64; i++)
		line[i] = (u8)(i + 1);
	memcpy((void *)(regs + 4096 + 64), line, 64);
	memcpy(got, (void *)(regs + 4096 + 64), 64);
	CHECK(!memcmp(got, line, 64));
	__atomic_fetch_add((u32 *)(regs + 20), 1, __ATOMIC_SEQ_CST);
	CHECK(*(volatile u32 *)(regs + 20) == 0xdeadbef0);
#if defined(__x86_64__)
	/* movdir64b (%rsi),%rdi: where the processor lacks it, it is emulated on any memory. */
	__asm__ volatile(".byte 0x66,0x0f,0x38,0xf8,0x3e"
			 :
			 : "S"(line), "D"(regs + 4096 + 128)
			 : "memory");
	CHECK(ioctl(calls, CMD_LAST) == 0x140);
	memcpy(got, (void *)(regs + 4096 + 128), 64);
	CHECK(!memcmp(got, line, 64));
	static u8 to[64] __attribute__((aligned(64)));
	__asm__ volatile(".byte 0x66,0x0f,0x38,0xf8,0x3e" : : "S"(line), "D"(to) : "memory");
	CHECK(!memcmp(to, line, 64));
	/* movdiri %eax,(%rdi) */
	__asm__ volatile(".byte 0x0f,0x38,0xf9,0x07" : : "a"(5), "D"(regs + 64) : "memory");
	CHECK(regs[64] == 5);
#endif
}

static sigjmp_buf back;
static volatile sig_atomic_t bus_errors, alarms;
static void *volatile bus_at;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	bus_errors++;
	bus_at = info->si_addr;
	siglongjmp(back, 1);
}

static void on_alarm(int sig)
{
	alarms++;
}

static void what_cannot_be_done_is_the_programs_signal(void)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	volatile u64 *unknown = (volatile u64 *)(regs + 512);
	char path[] = "/tmp/machine-XXXXXX";
	int fd = mkstemp(path);
	u8 *own;

	sigaction(SIGBUS, &action, NULL);
	/* The device refuses. */
	if (!sigsetjmp(back, 1))
		(void)*(volatile u64 *)(regs + BAR_SIZE - 8);
	CHECK(bus_errors == 1 && bus_at == regs + BAR_SIZE - 8);
#if defined(__x86_64__)
	/* An instruction nobody uses on registers. */
	if (!sigsetjmp(back, 1))
		__asm__ volatile("rolq $3,%0" : "+m"(*unknown));
	CHECK(bus_errors == 2);
#else
	bus_errors++;
#endif
	/* A file of its own, cut off. */
	CHECK(fd >= 0 && !unlink(path));
	own = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (!sigsetjmp(back, 1))
		(void)*(volatile u8 *)own;
	CHECK(bus_errors == 3 && bus_at == own);
	munmap(own, 4096);
	close(fd);
	signal(SIGBUS, SIG_DFL);
}

/* Few: where many others want the processor each access may wait for its turn. */
#define COUNT 60

static void *count_up(void *arg)
{
	for (int i = 0; i < COUNT; i++)
		__atomic_fetch_add((u32 *)(regs + 256 + 8 * (long)arg), 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void threads_and_children_are_seen(void)
{
	pthread_t threads[4];
	int status;
	pid_t pid;

	for (long i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
	for (long i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (long i = 0; i < 4; i++)
		CHECK(*(volatile u32 *)(regs + 256 + 8 * i) == COUNT);
	pid = fork();
	if (!pid) {
		regs[300] = 9;
		/* And one of its own, which has no mappings after it. */
		_exit(regs[300] == 9 && !system("true") ? 4 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 4);
	CHECK(regs[300] == 9);
	pid = fork();
	if (!pid)
		raise(SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

static _Atomic bool seen_enough;

static void *look_all_the_time(void *arg)
{
	while (!seen_enough)
		CHECK(regs[0] == 'r');
	return NULL;
}

/* What is mapped is looked up while it is being mapped, and then not there yet. */
static void a_mapping_is_good_at_once_whoever_uses_another(void)
{
	pthread_t thread;
	volatile u8 *va;

	CHECK(pthread_create(&thread, NULL, look_all_the_time, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		va = mmap(NULL, 4096, PROT_READ, MAP_SHARED, calls, BAR(0));
		CHECK(va != MAP_FAILED && va[0] == 'r');
		munmap((void *)va, 4096);
	}
	seen_enough = true;
	pthread_join(thread, NULL);
}

static void a_mapping_may_get_rights_and_another_place(void)
{
	volatile u8 *va = mmap(NULL, 4096, PROT_READ, MAP_SHARED, calls, BAR(0)), *moved;
	void *place = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(va != MAP_FAILED && place != MAP_FAILED && va[0] == 'r');
	CHECK(!mprotect((void *)va, 4096, PROT_READ | PROT_WRITE));
	va[700] = 5;
	CHECK(regs[700] == 5);
	moved = mremap((void *)va, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	CHECK(moved == place && moved[700] == 5);
	/* From one mapping to another that nobody has looked at yet. */
	va = mremap((void *)moved, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)va);
	CHECK(va != MAP_FAILED && regs[0] == 'r');
	memcpy((void *)(va + 800), (void *)regs, 8);
	CHECK(regs[800] == 'r' && regs[807] == 'r');
	munmap((void *)va, 4096);
}

/*
 * Who waits for a pidfd, and then does not wait for the child, as a test harness of the kernel's
 * does.
 */
static void a_child_that_has_ended_is_its_parents_at_once(void)
{
	for (int i = 0; i < 50; i++) {
		struct pollfd pfd = { .events = POLLIN };
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(regs[0] == 'r' ? 7 : 1);
		pfd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
		CHECK(pfd.fd >= 0 && poll(&pfd, 1, 20000) == 1);
		CHECK(waitpid(pid, &status, WNOHANG) == pid && WIFEXITED(status) &&
		      WEXITSTATUS(status) == 7);
		close(pfd.fd);
	}
}

static void registers_for_dma(int fd, void *va)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_test_cmd dev = { .size = sizeof(dev), .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_READABLE,
				      .user_va = (uintptr_t)va,
				      .length = 4096 };

	CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, &ioas) == 0);
	map.ioas_id = dev.id = ioas.out_ioas_id;
	CHECK(ioctl(fd, IOMMU_TEST_CMD, &dev) == 0);
	errno = 0;
	CHECK(ioctl(fd, IOMMU_IOAS_MAP, &map) == -1 && errno == EFAULT);
}

/* Their descriptor must not be taken for closed after somebody has looked at what is mapped. */
static void they_are_no_memory_for_dma(void)
{
	int fd = open("/dev/iommu", O_RDWR);

	CHECK(fd >= 0);
	registers_for_dma(fd, (void *)regs);
	CHECK(ioctl(calls, CMD_MAPS) == 1 && regs[0] == 'r');
	close(fd);
}

static void signals_arrive_as_ever(void)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	u32 count = 0;
	int status;
	pid_t pid;

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	for (; alarms < 3; count++) {
		(*(volatile u32 *)(regs + 400))++;
		/* A sanitizer keeps signals back until something of libc is called. */
		if (!(count % 64))
			usleep(0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(*(volatile u32 *)(regs + 400) == count);
	pid = fork();
	if (!pid) {
		for (;;)
			(void)regs[0];
	}
	CHECK(!kill(pid, SIGSTOP) && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(!kill(pid, SIGCONT) && waitpid(pid, &status, WCONTINUED) == pid &&
	      WIFCONTINUED(status));
	CHECK(!kill(pid, SIGTERM) && waitpid(pid, &status, 0) == pid &&
	      WTERMSIG(status) == SIGTERM);
}

static void who_is_traced_already_is_refused(void)
{
	int status;
	pid_t pid = fork();

	/* Of a process that is not traced yet. */
	if (!pid) {
		execl("/proc/self/exe", "machine", "traced", NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int traced(void)
{
	pid_t pid = fork();
	int status, fd;

	if (!pid) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		fd = open("/dev/machine/calls", O_RDWR);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, BAR(0)) == MAP_FAILED &&
		      errno == EPERM);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void *read_one(void *va)
{
	return (void *)(long)(*(volatile u8 *)va == 'r');
}

/* Refused, its own signal, or done; and a new thread of it likewise. */
static void map_short_of_memory(long n)
{
	pthread_t thread;
	void *same = NULL;
	u8 *va;

	/* Not a sanitizer's report. */
	signal(SIGBUS, SIG_DFL);
	ioctl(calls, CMD_FAIL, n);
	va = mmap(NULL, 4096, PROT_READ, MAP_SHARED, calls, BAR(0));
	if (va == MAP_FAILED)
		_exit(errno == ENOMEM ? 0 : 1);
	CHECK(pthread_create(&thread, NULL, read_one, va) == 0);
	pthread_join(thread, &same);
	_exit(same && *va == 'r' ? 0 : 1);
}

static void without_memory_nobody_hangs(void)
{
	int status, left = 0;
	pid_t pid;

	for (long n = 1; n < 40 && !left; n++) {
		pid = fork();
		if (!pid)
			map_short_of_memory(n);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : !WEXITSTATUS(status));
		left = ioctl(calls, CMD_FAIL, 0);
	}
	CHECK(left == 1);
	CHECK(ioctl(calls, CMD_MAPS) == 0);
}

void registers_can_be_calls(void)
{
	calls = open("/dev/machine/calls", O_RDWR);
	CHECK(calls >= 0);
#if defined(__x86_64__)
	without_memory_nobody_hangs();
#endif
	who_is_traced_already_is_refused();
	regs = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, calls, BAR(0));
#if !defined(__x86_64__)
	CHECK(regs == MAP_FAILED && errno == EOPNOTSUPP);
	return;
#endif
	CHECK(regs != MAP_FAILED);
	every_size_is_one_access();
	what_cannot_be_done_is_the_programs_signal();
	threads_and_children_are_seen();
	a_child_that_has_ended_is_its_parents_at_once();
	they_are_no_memory_for_dma();
	signals_arrive_as_ever();
	CHECK(ioctl(calls, CMD_MAPS) == 1);
	munmap((void *)regs, BAR_SIZE);
	CHECK(ioctl(calls, CMD_MAPS) == 0);
	regs = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, calls, BAR(0));
	CHECK(regs != MAP_FAILED);
	a_mapping_is_good_at_once_whoever_uses_another();
	a_mapping_may_get_rights_and_another_place();
	munmap((void *)regs, BAR_SIZE);
	CHECK(ioctl(calls, CMD_MAPS) == 0);
	close(calls);
}
