/* SPDX-License-Identifier: MIT */
/*
 * close() is synchronous: when the last one returns, wherever it happened,
 * everything of the context is gone.
 */
#include "prog.h"

#define LENGTH (64 * 4096)

static void *buffer(void)
{
	void *va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(va != MAP_FAILED);
	memset(va, 1, LENGTH);
	return va;
}

/* A context with @va pinned once. */
static int pin(void *va)
{
	int fd = open_iommu();
	uint32_t ioas = ioas_alloc(fd);
	uint64_t iova;

	mock_domain(fd, ioas);
	CHECK(ioas_map(fd, ioas, va, LENGTH, &iova) == 0);
	CHECK(check_refs(fd, va, LENGTH, 1) == 0);
	return fd;
}

static void nothing_is_pinned(void *va)
{
	int fd = open_iommu();

	CHECK(check_refs(fd, va, LENGTH, 0) == 0);
	CHECK(ioas_alloc(fd) == 1);
	close(fd);
}

static void after_close_returns_nothing_is_pinned(void *va)
{
	for (int i = 0; i < 200; i++) {
		int fd = pin(va);

		close(fd);
		nothing_is_pinned(va);
	}
}

static void a_duplicate_delays_it_to_its_own_close(void *va)
{
	int fd = pin(va), copy = dup(fd);

	close(fd);
	CHECK(check_refs(copy, va, LENGTH, 1) == 0);
	close(copy);
	nothing_is_pinned(va);
}

static void a_child_delays_it_to_its_end(void *va)
{
	int pipe_fds[2], fd = pin(va), other;
	char byte;
	pid_t pid;

	CHECK(pipe(pipe_fds) == 0);
	pid = fork();
	if (!pid) {
		close(pipe_fds[1]);
		CHECK(read(pipe_fds[0], &byte, 1) == 0);
		_exit(0);
	}
	close(pipe_fds[0]);
	close(fd);
	other = open_iommu();
	CHECK(check_refs(other, va, LENGTH, 1) == 0);
	close(pipe_fds[1]);
	CHECK(child_status(pid) == 0);
	CHECK(check_refs(other, va, LENGTH, 0) == 0);
	close(other);
}

static void replacing_by_dup2_closes_it(void *va)
{
	int fd = pin(va), null = open("/dev/null", O_RDWR);

	CHECK(dup2(null, fd) == fd);
	nothing_is_pinned(va);
	close(null);
	close(fd);
}

static void exec_closes_what_is_close_on_exec(void *va)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int fd = pin(va);

		CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
		execlp("true", "true", NULL);
		_exit(99);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	nothing_is_pinned(va);
}

/*
 * More of them than processors: whoever serves an open is now and then not let run right after it.
 */
static void however_busy_the_machine_is(void)
{
	pid_t pids[8];

	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		pids[i] = fork();
		CHECK(pids[i] >= 0);
		if (!pids[i]) {
			after_close_returns_nothing_is_pinned(buffer());
			_exit(0);
		}
	}
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
		CHECK(child_status(pids[i]) == 0);
}

int main(void)
{
	void *va = buffer();

	after_close_returns_nothing_is_pinned(va);
	however_busy_the_machine_is();
	a_duplicate_delays_it_to_its_own_close(va);
	a_child_delays_it_to_its_end(va);
	replacing_by_dup2_closes_it(va);
	exec_closes_what_is_close_on_exec(va);
	return 0;
}
