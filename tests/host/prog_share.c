/* SPDX-License-Identifier: MIT */
/*
 * One context through many descriptors: dup, fork, exec, a socket, pidfd_getfd.
 * Ids tell contexts apart, since each counts from 1.
 */
#include "prog.h"

#include <sys/socket.h>

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

		CHECK(ioas_alloc(fd) == 1);
		snprintf(arg, sizeof(arg), "%d", fd);
		execl(self, self, arg, NULL);
		_exit(99);
	}
	CHECK(child_status(pid) == 2);
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
	a_descriptor_sent_over_a_socket_keeps_it_alive();
	a_descriptor_taken_by_pidfd_shares_it();
	return 0;
}
