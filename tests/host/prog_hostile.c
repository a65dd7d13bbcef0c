/* SPDX-License-Identifier: MIT */
/*
 * A program that misbehaves: its calls fail as they should, and the next good
 * one is served.
 */
#include "prog.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void good_calls_are_served(void)
{
	int fd = open_iommu();

	CHECK(ioas_alloc(fd) == 1);
	close(fd);
}

static void bad_pointers_fault(void)
{
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_alloc *cmd = (void *)(two + 4096 - sizeof(*cmd));
	int fd = open_iommu();
	char *path;

	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, NULL));
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, -1L));
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, 0xffff800000000000ul));
	CHECK(munmap(two + 4096, 4096) == 0);
	/* Right before the hole is fine, one byte further is not. */
	*cmd = (struct iommu_ioas_alloc){ .size = sizeof(*cmd) };
	CHECK(ioctl(fd, IOMMU_IOAS_ALLOC, cmd) == 0 && cmd->out_ioas_id == 1);
	cmd->flags = sizeof(*cmd);
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, (char *)cmd + 4));
	path = two + 4096 - sizeof("/dev/iommu");
	strcpy(path, "/dev/iommu");
	close(open(path, O_RDWR));
	CHECK(open(path, O_RDWR) >= 0);
	memcpy(two + 4096 - 4, "/dev", 4);
	CHECK_ERRNO(EFAULT, open(two + 4096 - 4, O_RDWR));
	/* What cannot be answered is not done. */
	*cmd = (struct iommu_ioas_alloc){ .size = sizeof(*cmd) };
	CHECK(mprotect(two, 4096, PROT_READ) == 0);
	CHECK_ERRNO(EFAULT, ioctl(fd, IOMMU_IOAS_ALLOC, cmd));
	CHECK(ioas_alloc(fd) == 2);
	close(fd);
}

static void wrong_calls_are_refused(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = open_iommu(), pipe_fds[2];

	CHECK(pipe(pipe_fds) == 0);
	CHECK_ERRNO(ENOTTY, ioctl(pipe_fds[0], IOMMU_IOAS_ALLOC, &cmd));
	CHECK_ERRNO(ENOTTY, ioctl(fd, _IO(';', 0xf0), &cmd));
	cmd.size = 4;
	CHECK_ERRNO(EINVAL, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	close(fd);
}

static volatile int stop;

static void *flip(void *arg)
{
	while (!stop) {
		munmap(arg, 4096);
		mmap(arg, 4096, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
		*(volatile uint32_t *)arg = sizeof(struct iommu_ioas_alloc);
	}
	return NULL;
}

static void memory_may_vanish_during_a_call(void)
{
	void *va = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_iommu();
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, flip, va) == 0);
	for (int i = 0; i < 3000; i++) {
		int rc = ioctl(fd, IOMMU_IOAS_ALLOC, va);

		CHECK(rc == 0 || errno == EFAULT || errno == EINVAL);
	}
	stop = 1;
	CHECK(pthread_join(thread, NULL) == 0);
	close(fd);
}

static void callers_may_be_killed_at_any_point(void)
{
	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			for (;;) {
				int fd = open("/dev/iommu", O_RDWR);

				ioas_alloc(fd);
				close(fd);
			}
		}
		usleep((useconds_t)(i * 37 % 1500));
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	}
	good_calls_are_served();
}

static void a_listener_of_ones_own_is_refused(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK_ERRNO(EBUSY, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				   SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog));
	/* A filter without one is its own business. */
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0);
}

static void thousands_of_contexts_fit(void)
{
	struct rlimit rlim;
	int n, *fds;

	CHECK(getrlimit(RLIMIT_NOFILE, &rlim) == 0);
	rlim.rlim_cur = rlim.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &rlim) == 0);
	n = rlim.rlim_cur > 6000 ? 5000 : (int)rlim.rlim_cur - 64;
	fds = calloc(n, sizeof(*fds));
	CHECK(fds);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < n; i++) {
			fds[i] = open("/dev/iommu", O_RDWR);
			CHECK(fds[i] >= 0);
		}
		CHECK(ioas_alloc(fds[0]) == 1);
		CHECK(ioas_alloc(fds[n - 1]) == 1);
		CHECK(ioas_alloc(fds[0]) == 2);
		for (int i = 0; i < n; i++)
			close(fds[i]);
		good_calls_are_served();
	}
	free(fds);
}

static void no_descriptor_left_is_said_so(void)
{
	struct rlimit rlim, old;
	int fd = open("/dev/null", O_RDWR);

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	rlim = old;
	rlim.rlim_cur = fd + 1;
	CHECK(setrlimit(RLIMIT_NOFILE, &rlim) == 0);
	CHECK_ERRNO(EMFILE, open("/dev/iommu", O_RDWR));
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	close(fd);
	good_calls_are_served();
}

int main(void)
{
	bad_pointers_fault();
	wrong_calls_are_refused();
	memory_may_vanish_during_a_call();
	callers_may_be_killed_at_any_point();
	a_listener_of_ones_own_is_refused();
	thousands_of_contexts_fit();
	no_descriptor_left_is_said_so();
	good_calls_are_served();
	return 0;
}
