/* SPDX-License-Identifier: MIT */
/*
 * One context through many descriptors: dup, fork, exec, a socket, pidfd_getfd.
 * Ids tell contexts apart, since each counts from 1.
 */
#include "prog.h"

#include <pthread.h>
#include <sys/socket.h>

/* A number that is used so often is looked at otherwise than one that is not. */
#define OFTEN 100

static void a_duplicate_is_the_same_context(void)
{
	int fd = open_iommu(), copy;

	CHECK(ioas_alloc(fd) == 1);
	copy = dup(fd);
	CHECK(ioas_alloc(copy) == 2);
	CHECK(dup2(fd, 77) == 77 && ioas_alloc(77) == 3);
	close(fd);
	close(77);
	CHECK(ioas_alloc(copy) == 4);
	close(copy);
}

static void a_forked_child_shares_it(void)
{
	int fd = open_iommu();
	pid_t pid = fork();

	if (!pid)
		_exit((int)ioas_alloc(fd));
	CHECK(child_status(pid) == 1);
	CHECK(ioas_alloc(fd) == 2);
	close(fd);
}

static void so_does_a_vforked_one(void)
{
	int fd = open_iommu();
	pid_t pid = vfork();

	if (!pid)
		_exit((int)ioas_alloc(fd));
	CHECK(child_status(pid) == 1);
	CHECK(ioas_alloc(fd) == 2);
	close(fd);
}

static void an_executed_program_shares_it(const char *self)
{
	int fd = open_iommu();
	pid_t pid;
	char arg[16];

	CHECK(ioas_alloc(fd) == 1);
	snprintf(arg, sizeof(arg), "%d", fd);
	pid = fork();
	if (!pid) {
		execl(self, self, arg, NULL);
		_exit(99);
	}
	CHECK(child_status(pid) == 2);
	CHECK(ioas_alloc(fd) == 3);
	close(fd);
}

/* exec gives the caller new memory: a struct in the new one must be found. */
static void the_same_process_after_exec_is_served(const char *self)
{
	pid_t pid = fork();
	char arg[16];

	if (!pid) {
		int fd = open_iommu();

		for (uint32_t i = 1; i <= OFTEN; i++)
			CHECK(ioas_alloc(fd) == i);
		snprintf(arg, sizeof(arg), "%d", fd);
		execl(self, self, arg, NULL);
		_exit(255);
	}
	CHECK(child_status(pid) == OFTEN + 1);
}

static void a_number_used_often_means_what_is_there_now(void)
{
	int fd = open_iommu(), other = open_iommu(), null = open("/dev/null", O_RDWR);
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int copy = dup(fd);

	for (uint32_t i = 1; i <= OFTEN; i++)
		CHECK(ioas_alloc(fd) == i);
	CHECK(dup2(other, fd) == fd && ioas_alloc(fd) == 1);
	CHECK(dup2(null, fd) == fd);
	CHECK_ERRNO(ENOTTY, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	close(fd);
	CHECK_ERRNO(EBADF, ioctl(fd, IOMMU_IOAS_ALLOC, &cmd));
	CHECK(dup2(copy, fd) == fd && ioas_alloc(fd) == OFTEN + 1);
	close(fd);
	close(copy);
	close(other);
	close(null);
}

struct swapped {
	int number, ours, null;
	_Atomic int stop;
};

static void *swap(void *arg)
{
	struct swapped *swapped = arg;

	while (!swapped->stop) {
		dup2(swapped->null, swapped->number);
		dup2(swapped->ours, swapped->number);
	}
	return NULL;
}

static void it_may_be_replaced_at_any_time(void)
{
	struct swapped swapped = { .ours = open_iommu(), .null = open("/dev/null", O_RDWR) };
	pthread_t thread;

	swapped.number = dup(swapped.ours);
	CHECK(pthread_create(&thread, NULL, swap, &swapped) == 0);
	for (uint32_t i = 0, id = 0; i < 30 * OFTEN; i++) {
		struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

		if (ioctl(swapped.number, IOMMU_IOAS_ALLOC, &cmd))
			CHECK(errno == ENOTTY);
		else
			CHECK(cmd.out_ioas_id == ++id);
	}
	swapped.stop = 1;
	CHECK(pthread_join(thread, NULL) == 0);
	close(swapped.number);
	close(swapped.ours);
	close(swapped.null);
}

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	CHECK(sendmsg(sock, &msg, 0) == 1);
}

static int recv_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd;

	CHECK(recvmsg(sock, &msg, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static void a_descriptor_sent_over_a_socket_keeps_it_alive(void)
{
	int socks[2], fd = open_iommu();
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, socks) == 0);
	pid = fork();
	if (!pid) {
		close(fd);
		fd = recv_fd(socks[1]);
		_exit((int)ioas_alloc(fd));
	}
	CHECK(ioas_alloc(fd) == 1);
	send_fd(socks[0], fd);
	close(fd);
	CHECK(child_status(pid) == 2);
	close(socks[0]);
	close(socks[1]);
}

static void a_descriptor_taken_by_pidfd_shares_it(void)
{
	int fd = open_iommu(), pipe_fds[2], pidfd, taken;
	char byte;
	pid_t pid;

	CHECK(pipe(pipe_fds) == 0);
	pid = fork();
	if (!pid) {
		close(pipe_fds[1]);
		CHECK(read(pipe_fds[0], &byte, 1) == 0);
		_exit(0);
	}
	CHECK(ioas_alloc(fd) == 1);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(pidfd >= 0);
	taken = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	close(fd);
	CHECK(taken >= 0 && ioas_alloc(taken) == 2);
	close(taken);
	close(pidfd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	CHECK(child_status(pid) == 0);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return (int)ioas_alloc(atoi(argv[1]));
	a_duplicate_is_the_same_context();
	a_forked_child_shares_it();
	so_does_a_vforked_one();
	an_executed_program_shares_it("/proc/self/exe");
	the_same_process_after_exec_is_served("/proc/self/exe");
	a_number_used_often_means_what_is_there_now();
	it_may_be_replaced_at_any_time();
	a_descriptor_sent_over_a_socket_keeps_it_alive();
	a_descriptor_taken_by_pidfd_shares_it();
	return 0;
}
