/* SPDX-License-Identifier: MIT */
/*
 * The way in by itself, with a device of this test's own behind it: this
 * program supervises itself, `fake program` being the supervised half.  So the
 * file behind a descriptor can do what no real one does on demand: block until
 * another call comes, become readable, ask for descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "core/system.h"
#include "core/tree.h"
#include "host/host.h"
#include "mem/task.h"
#include "prog.h"

#define CMD(nr) (0x3b00u + (nr))
#define CMD_WAIT CMD(0x90)    /* until CMD_GO; returns its argument */
#define CMD_GO CMD(0x91)
#define CMD_QUEUE CMD(0x92)   /* a queue file; its number is the result */
#define CMD_POST CMD(0x93)    /* put the argument into the queue */
#define CMD_LIVE CMD(0x94)    /* files that are not released */
#define CMD_ADD CMD(0x95)     /* struct add: out = a + b, in the caller's memory */
#define CMD_NO_FD CMD(0x96)   /* reserve a number and give it back */
#define CMD_CAP CMD(0x97)     /* is the capability held? */
#define CMD_FD CMD(0x98)      /* 1: one of ours, 0: foreign, and then its first byte is read */
#define CMD_SLOW CMD(0x99)    /* sleep for argument milliseconds */
#define CMD_SLEPT CMD(0x9b)   /* how many it has slept */
#define CMD_NO_THREAD CMD(0x9a) /* the next argument threads of the supervisor cannot be made */

struct add {
	u64 a, b, out;
};

/* ================= the supervisor's half ================= */

static _Atomic int live;
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate = PTHREAD_COND_INITIALIZER;
static u64 gate_opened;
static u64 slept; /* under no lock: there is one caller at a time */

struct fake_queue {
	struct file file;
	pthread_mutex_t lock;
	u32 head, tail, written;
	u64 items[16];
};

struct fake {
	struct file file;
	struct fake_queue *queue; /* not counted: the program closes in order */
};

static ssize_t queue_read(struct file *file, u64 ubuf, size_t count)
{
	struct fake_queue *q = container_of(file, struct fake_queue, file);
	ssize_t done = 0;

	pthread_mutex_lock(&q->lock);
	while (q->head != q->tail && count - done >= sizeof(u64)) {
		if (copy_to_user(ubuf + done, &q->items[q->head % 16], sizeof(u64)))
			break;
		q->head++;
		done += sizeof(u64);
	}
	pthread_mutex_unlock(&q->lock);
	file_wake(file);
	return done;
}

static ssize_t queue_write(struct file *file, u64 ubuf, size_t count)
{
	struct fake_queue *q = container_of(file, struct fake_queue, file);
	u32 word;

	if (count != sizeof(word))
		return -EINVAL;
	if (copy_from_user(&word, ubuf, sizeof(word)))
		return -EFAULT;
	q->written += word;
	return sizeof(word);
}

static unsigned int queue_poll(struct file *file)
{
	struct fake_queue *q = container_of(file, struct fake_queue, file);
	unsigned int bits;

	pthread_mutex_lock(&q->lock);
	bits = POLLOUT | (q->head != q->tail ? POLLIN : 0);
	pthread_mutex_unlock(&q->lock);
	return bits;
}

static void queue_release(struct file *file)
{
	free(container_of(file, struct fake_queue, file));
	live--;
}

static const struct file_ops queue_ops = {
	.name = "[fake-queue]",
	.read = queue_read,
	.write = queue_write,
	.poll = queue_poll,
	.release = queue_release,
};

static long fake_queue(struct fake *fake)
{
	struct fake_queue *q;
	int fd, rc;

	rc = task_current->ops->fd_reserve(task_current, O_CLOEXEC, &fd);
	if (rc)
		return rc;
	q = zalloc(sizeof(*q));
	if (!q) {
		task_current->ops->fd_unreserve(task_current, fd);
		return -ENOMEM;
	}
	pthread_mutex_init(&q->lock, NULL);
	file_init(&q->file, &queue_ops, NULL, O_RDWR | O_CLOEXEC);
	live++;
	fake->queue = q;
	task_current->ops->fd_install(task_current, fd, &q->file);
	return fd;
}

static long fake_post(struct fake *fake, u64 value)
{
	struct fake_queue *q = fake->queue;

	pthread_mutex_lock(&q->lock);
	q->items[q->tail++ % 16] = value;
	pthread_mutex_unlock(&q->lock);
	file_wake(&q->file);
	return 0;
}

static long fake_gate(u64 cmd, u64 arg)
{
	long rc = 0;

	pthread_mutex_lock(&gate_lock);
	if (cmd == CMD_GO) {
		gate_opened += arg;
		pthread_cond_broadcast(&gate);
	} else {
		while (gate_opened < arg)
			pthread_cond_wait(&gate, &gate_lock);
		rc = (long)arg;
	}
	pthread_mutex_unlock(&gate_lock);
	return rc;
}

static long fake_add(u64 uaddr)
{
	struct add add;

	if (copy_from_user(&add, uaddr, sizeof(add)))
		return -EFAULT;
	add.out = add.a + add.b;
	return copy_to_user(uaddr + offsetof(struct add, out), &add.out, sizeof(add.out));
}

static long fake_fd(int fd)
{
	struct task_fd tfd;
	char byte;
	int rc;

	rc = task_current->ops->fd_get(task_current, fd, &tfd);
	if (rc)
		return rc;
	if (tfd.file) {
		file_put(tfd.file);
		return 1;
	}
	rc = read(tfd.host_fd, &byte, 1) == 1 ? 0 : -errno;
	close(tfd.host_fd);
	return rc;
}

static long fake_no_fd(void)
{
	int fd, rc;

	rc = task_current->ops->fd_reserve(task_current, 0, &fd);
	if (rc)
		return rc;
	task_current->ops->fd_unreserve(task_current, fd);
	return fd;
}

static long fake_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct fake *fake = container_of(file, struct fake, file);

	switch (cmd) {
	case CMD_WAIT:
	case CMD_GO:
		return fake_gate(cmd, arg);
	case CMD_QUEUE:
		return fake_queue(fake);
	case CMD_POST:
		return fake_post(fake, arg);
	case CMD_LIVE:
		return live;
	case CMD_ADD:
		return fake_add(arg);
	case CMD_NO_FD:
		return fake_no_fd();
	case CMD_CAP:
		return capable((int)arg);
	case CMD_FD:
		return fake_fd((int)arg);
	case CMD_NO_THREAD:
		fault_named_set("thread", 0, (u32)arg);
		return 0;
	case CMD_SLOW:
		usleep((useconds_t)arg * 1000);
		slept += arg;
		return 0;
	case CMD_SLEPT:
		return (long)slept;
	default:
		return -ENOTTY;
	}
}

static void fake_release(struct file *file)
{
	free(container_of(file, struct fake, file));
	live--;
}

static const struct file_ops fake_ops = {
	.name = "/dev/fake/one",
	.ioctl = fake_ioctl,
	.release = fake_release,
};

static int fake_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	struct fake *fake;

	if (open_flags & O_APPEND)
		return -EBUSY;
	fake = zalloc(sizeof(*fake));
	if (!fake)
		return -ENOMEM;
	file_init(&fake->file, &fake_ops, NULL, open_flags);
	live++;
	*ret_file = &fake->file;
	return 0;
}

static struct iommufd_system *fake_system;

/* ---- names ---- */

static struct tree_entry nodes[] = {
	{ .path = "/dev/fake/one", .kind = TREE_NODE, .mode = 0600, .major = 10, .minor = 200,
	  .open = fake_open },
	{ .path = "/dev/other", .kind = TREE_NODE, .mode = 0666, .major = 240, .minor = 3,
	  .open = fake_open },
};

static int fake_start(void *data, struct iommufd_system **ret_system)
{
	struct iommufd_system_opts opts = { .size = sizeof(opts) };
	int rc = iommufd_system_create(&opts, &fake_system);

	for (size_t i = 0; !rc && i < ARRAY_SIZE(nodes); i++)
		rc = tree_add(&fake_system->tree, &nodes[i]);
	*ret_system = fake_system;
	return rc;
}

static void fake_stop(void *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		tree_remove(&fake_system->tree, &nodes[i]);
	iommufd_system_destroy(fake_system);
	if (live)
		fprintf(stderr, "%d files are not released at the end\n", live);
}

static void fake_log(void *data, enum iommufd_log_level level, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

/* ================= the program's half ================= */

static int dev;

static void *wait_at_gate(void *arg)
{
	CHECK(ioctl(dev, CMD_WAIT, arg) == (long)arg);
	return NULL;
}

static void blocked_calls_block_nobody_else(void)
{
	enum { WAITERS = 20 };
	pthread_t threads[WAITERS];
	static long gone; /* through the gate, of earlier rounds */

	for (long i = 0; i < WAITERS; i++) {
		CHECK(pthread_create(&threads[i], NULL, wait_at_gate, (void *)(gone + i + 1)) == 0);
		CHECK(ioctl(dev, CMD_LIVE, 0) == 1);
	}
	/* Give them time to be stuck all, then let one after the other go. */
	CHECK(ioctl(dev, CMD_SLOW, 20) == 0);
	for (long i = 0; i < WAITERS; i++) {
		CHECK(ioctl(dev, CMD_GO, 1) == 0);
		CHECK(pthread_join(threads[i], NULL) == 0);
	}
	gone += WAITERS;
}

static void the_next_call_sees_what_the_last_one_did(void)
{
	long before = ioctl(dev, CMD_SLEPT, 0);

	for (int i = 1; i <= 10; i++) {
		CHECK(ioctl(dev, CMD_SLOW, 5) == 0);
		CHECK(ioctl(dev, CMD_SLEPT, 0) == before + 5L * i);
	}
}

static void nor_where_threads_are_short_for_a_while(void)
{
	CHECK(ioctl(dev, CMD_NO_THREAD, 20) == 0);
	blocked_calls_block_nobody_else();
	CHECK(ioctl(dev, CMD_NO_THREAD, 0) == 0);
}

static bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };

	CHECK(poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT));
	return pfd.revents & POLLIN;
}

static void a_queue_is_readable_while_it_holds_something(void)
{
	int q = ioctl(dev, CMD_QUEUE, 0), copy;
	u64 items[4] = { 0 };
	u32 word = 5;
	struct iovec iov[2] = { { items, 8 }, { items + 1, 16 } };

	CHECK(q > 10 && fcntl(q, F_GETFD) == FD_CLOEXEC);
	CHECK(!readable(q));
	CHECK(read(q, items, sizeof(items)) == 0);
	CHECK(ioctl(dev, CMD_POST, 11) == 0);
	CHECK(readable(q));
	CHECK(ioctl(dev, CMD_POST, 12) == 0);
	CHECK(ioctl(dev, CMD_POST, 13) == 0);
	CHECK(read(q, items, 8) == 8 && items[0] == 11);
	CHECK(readable(q));
	CHECK(readv(q, iov, 2) == 16 && items[0] == 12 && items[1] == 13);
	CHECK(!readable(q));
	CHECK(read(q, items, sizeof(items)) == 0);
	CHECK(write(q, &word, 4) == 4);
	CHECK(write(q, &word, 3) == -1 && errno == EINVAL);
	CHECK(pread(q, items, 8, 0) == -1 && errno == ESPIPE);
	CHECK(write(q, (void *)4096, 4) == -1 && errno == EFAULT);
	copy = dup(q);
	CHECK(copy > 10 && copy != q);
	CHECK(ioctl(dev, CMD_POST, 14) == 0);
	CHECK(readable(copy) && readable(q));
	close(q);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 2);
	CHECK(read(copy, items, 8) == 8 && items[0] == 14);
	CHECK(!readable(copy));
	CHECK((q = fcntl(copy, F_DUPFD_CLOEXEC, 3)) > 10 && fcntl(q, F_GETFD) == FD_CLOEXEC);
	close(copy);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 2);
	close(q);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 1);
}

/* By a copy below the numbers that are seen it reads and writes what makes the queue readable. */
static void what_a_program_does_to_a_queues_pipe_is_its_own_matter(void)
{
	int q = ioctl(dev, CMD_QUEUE, 0), low = dup2(q, 9);
	static char junk[4096];
	u64 items[2];

	CHECK(low == 9 && fcntl(low, F_SETFL, O_NONBLOCK) == 0);
	while (write(low, junk, sizeof(junk)) > 0)
		;
	CHECK(errno == EAGAIN);
	CHECK(ioctl(dev, CMD_POST, 1) == 0);
	CHECK(readable(q));
	CHECK(read(q, items, 8) == 8 && items[0] == 1);
	CHECK(!readable(q));
	CHECK(ioctl(dev, CMD_POST, 2) == 0);
	while (read(low, junk, sizeof(junk)) > 0)
		;
	CHECK(ioctl(dev, CMD_POST, 3) == 0);
	CHECK(readable(q));
	CHECK(read(q, items, 16) == 16 && items[0] == 2 && items[1] == 3);
	CHECK(!readable(q));
	close(q);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 2);
	close(low);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 1);
}

static void a_poller_is_woken(void)
{
	int q = ioctl(dev, CMD_QUEUE, 0);
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct pollfd pfd = { .fd = q, .events = POLLIN };

		_exit(poll(&pfd, 1, -1) == 1 && (pfd.revents & POLLIN) ? 0 : 1);
	}
	CHECK(ioctl(dev, CMD_POST, 1) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(q);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 1);
}

static void memory_is_read_and_written(void)
{
	struct add add = { .a = 2, .b = 3 };

	CHECK(ioctl(dev, CMD_ADD, &add) == 0 && add.out == 5);
	/* Twice the same place: what was fetched last time does not count. */
	add.a = 40;
	CHECK(ioctl(dev, CMD_ADD, &add) == 0 && add.out == 43);
	CHECK(ioctl(dev, CMD_ADD, 8) == -1 && errno == EFAULT);
}

static void descriptors_are_found(void)
{
	int pipe_fds[2], other = open("/dev/other", O_RDWR);
	struct stat st;

	CHECK(other >= 0 && fstat(other, &st) == 0);
	CHECK(major(st.st_rdev) == 240 && minor(st.st_rdev) == 3);
	CHECK(ioctl(dev, CMD_FD, other) == 1);
	CHECK(ioctl(dev, CMD_FD, dev) == 1);
	CHECK(ioctl(dev, CMD_FD, 900) == -1 && errno == EBADF);
	CHECK(ioctl(dev, CMD_FD, -1) == -1 && errno == EBADF);
	CHECK(pipe(pipe_fds) == 0 && write(pipe_fds[1], "xy", 2) == 2);
	CHECK(ioctl(dev, CMD_FD, pipe_fds[0]) == 0);
	/* One byte has been read by the other side, from the same pipe. */
	char byte;
	CHECK(read(pipe_fds[0], &byte, 1) == 1 && byte == 'y');
	CHECK(ioctl(dev, CMD_NO_FD, 0) == ioctl(dev, CMD_NO_FD, 0));
	CHECK(open("/dev/other", O_RDWR | O_APPEND) == -1 && errno == EBUSY);
	close(other);
	CHECK(ioctl(dev, CMD_LIVE, 0) == 1);
}

static void a_shared_mapping_of_a_file_without_memory_is_refused(void)
{
	void *va = mmap(NULL, 4096, PROT_READ, MAP_SHARED, dev, 0);

	CHECK(va == MAP_FAILED && errno == ENODEV);
}

static int program(void)
{
	dev = open("/dev/fake/one", O_RDWR);
	CHECK(dev >= 0);
	nor_where_threads_are_short_for_a_while();
	blocked_calls_block_nobody_else();
	the_next_call_sees_what_the_last_one_did();
	a_queue_is_readable_while_it_holds_something();
	what_a_program_does_to_a_queues_pipe_is_its_own_matter();
	a_poller_is_woken();
	memory_is_read_and_written();
	descriptors_are_found();
	a_shared_mapping_of_a_file_without_memory_is_refused();
	return 0;
}

int main(int argc, char **argv)
{
	struct host_opts opts = {
		.start = fake_start,
		.stop = fake_stop,
		.log = { .fn = fake_log, .level = IOMMUFD_LOG_INFO },
		.no_namespaces = argc > 1 && !strcmp(argv[1], "no-namespaces"),
	};
	char self[4096];
	char word[] = "program";
	char *args[] = { self, word, NULL };
	ssize_t len;
	int status;

	if (argc > 1 && !strcmp(argv[1], "program"))
		return program();
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return 1;
	self[len] = 0;
	status = host_run(&opts, args);
	return status == 125 ? 77 : status;
}
