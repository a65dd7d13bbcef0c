/* SPDX-License-Identifier: MIT */
/*
 * Signals during calls: none is interrupted half way, none is done twice.  An
 * ioas id is given out once, so a repeated ALLOC would leave a gap.
 */
#include "prog.h"

#include <signal.h>
#include <sys/time.h>

#define CALLS 5000

static volatile sig_atomic_t caught;

static void on_alarm(int sig)
{
	caught++;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval storm = { { 0, 50 }, { 0, 50 } }, calm = { 0 };
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu();

	/* Without SA_RESTART: an interrupted call would say so. */
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &storm, NULL) == 0);
	for (uint32_t i = 1; i <= CALLS; i++) {
		int rc;

		/*
		 * Before anybody has looked at it a call may still be interrupted: nothing is done.
		 */
		do
			rc = ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);
		while (rc && errno == EINTR);
		CHECK(rc == 0);
		CHECK(cmd.out_ioas_id == i);
	}
	CHECK(setitimer(ITIMER_REAL, &calm, NULL) == 0);
	CHECK(caught > 0);
	close(fd);
	return 0;
}
