/* SPDX-License-Identifier: MIT */
/* What the processes of a run say to each other arrives, whoever ends first. */
#include <sys/socket.h>

#include "host/launch.h"
#include "prog.h"

/* The kernel tells of the unread message by ECONNRESET, before what is in the queue. */
static void the_last_message_is_heard_of_one_who_has_not_heard_all(void)
{
	const struct launch_msg signal = { .type = LAUNCH_SIGNAL, .value = SIGCONT };
	const struct launch_msg ended = { .type = LAUNCH_ENDED, .value = 7 };
	struct launch_msg msg;
	int ends[2];

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	CHECK(!launch_send(ends[0], &signal, -1));
	CHECK(!launch_send(ends[1], &ended, -1));
	close(ends[1]);
	CHECK(launch_recv(ends[0], &msg, NULL) == 1);
	CHECK(msg.type == LAUNCH_ENDED && msg.value == 7);
	CHECK(launch_recv(ends[0], &msg, NULL) == 0);
	close(ends[0]);
}

static void a_descriptor_comes_with_a_message(void)
{
	const struct launch_msg ready = { .type = LAUNCH_READY };
	struct launch_msg msg;
	int ends[2], pipes[2], fd;
	char c;

	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) && !pipe(pipes));
	CHECK(!launch_send(ends[0], &ready, pipes[1]));
	CHECK(!launch_send(ends[0], &ready, -1));
	CHECK(launch_recv(ends[1], &msg, &fd) == 1 && msg.type == LAUNCH_READY);
	CHECK(fd >= 0 && fd != pipes[1] && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	CHECK(write(fd, "x", 1) == 1 && read(pipes[0], &c, 1) == 1 && c == 'x');
	close(fd);
	CHECK(launch_recv(ends[1], &msg, &fd) == 1 && fd == -1);
	close(ends[0]);
	CHECK(launch_recv(ends[1], &msg, &fd) == 0);
	close(ends[1]);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	the_last_message_is_heard_of_one_who_has_not_heard_all();
	a_descriptor_comes_with_a_message();
	return 0;
}
