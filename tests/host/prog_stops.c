/* SPDX-License-Identifier: MIT */
/*
 * Somebody stops the supervisor and lets it go on, again and again: whatever it waits for in
 * the kernel is interrupted.  Every call is answered once, with what it asked for.
 */
#include "prog.h"

#include <signal.h>
#include <sys/prctl.h>

#define ROUNDS 1500

static volatile sig_atomic_t enough;

static void on_term(int sig)
{
	enough = 1;
}

/* The supervisor is our parent.  Whoever does this never leaves it stopped. */
static pid_t stop_and_go_on(void)
{
	pid_t supervisor = getppid(), self = getpid(), pid = fork();
	unsigned int seed = 1;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	signal(SIGTERM, on_term);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	while (!enough && getppid() == self) {
		CHECK(!kill(supervisor, SIGSTOP));
		CHECK(!kill(supervisor, SIGCONT));
		seed = seed * 1103515245 + 12345;
		for (volatile unsigned int i = 0; i < seed >> 17; i++)
			;
	}
	_exit(0);
}

static void a_text_is_opened(int expected)
{
	int fd = open("/proc/devices", O_RDONLY);
	char text[9];

	CHECK(fd == expected);
	CHECK(read(fd, text, sizeof(text)) == sizeof(text) && !memcmp(text, "Character", 9));
	close(fd);
}

static void a_context_is_opened(int expected)
{
	int fd = open_iommu(), copy;

	CHECK(fd == expected);
	CHECK(ioas_alloc(fd) == 1);
	copy = dup(fd);
	CHECK(ioas_alloc(copy) == 2 && destroy(fd, 1) == 0);
	close(copy);
	CHECK(ioas_alloc(fd) == 1);
	close(fd);
}

int main(void)
{
	pid_t pid = stop_and_go_on();
	int lowest = open("/dev/null", O_RDONLY);

	close(lowest);
	for (int i = 0; i < ROUNDS; i++) {
		a_text_is_opened(lowest);
		a_context_is_opened(lowest);
	}
	CHECK(!kill(pid, SIGTERM) && child_status(pid) == 0);
	return 0;
}
