/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that commands made: queues a program waits on and reads, accesses,
 * dma-bufs.  What a program does with them is what it does on Linux.
 */
#include "prog.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* A device whose page requests go to a queue. */
struct faulting {
	int fd;
	uint32_t ioas;
	uint32_t stdev, device;
	uint32_t hwpt;
	uint32_t fault;
	int queue;
};

static void attach(const struct faulting *f, uint32_t pt)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = f->stdev,
	};

	cmd.mock_domain_replace.pt_id = pt;
	CHECK(ioctl(f->fd, IOMMU_TEST_CMD, &cmd) == 0);
}

static struct faulting faulting_build(void)
{
	struct faulting f = { .fd = open_iommu() };
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas_alloc(f.fd),
	};
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .flags = IOMMU_HWPT_FAULT_ID_VALID, .pt_id = cmd.id,
	};

	CHECK(ioctl(f.fd, IOMMU_TEST_CMD, &cmd) == 0);
	CHECK(ioctl(f.fd, IOMMU_FAULT_QUEUE_ALLOC, &fault) == 0);
	f.ioas = cmd.id;
	f.stdev = cmd.mock_domain.out_stdev_id;
	f.device = cmd.mock_domain.out_idev_id;
	f.fault = fault.out_fault_id;
	f.queue = (int)fault.out_fault_fd;
	hwpt.dev_id = f.device;
	hwpt.fault_id = f.fault;
	CHECK(ioctl(f.fd, IOMMU_HWPT_ALLOC, &hwpt) == 0);
	f.hwpt = hwpt.out_hwpt_id;
	attach(&f, f.hwpt);
	return f;
}

static void request(const struct faulting *f, uint32_t group)
{
	struct iommu_test_cmd cmd = { .size = sizeof(cmd), .op = IOMMU_TEST_OP_TRIGGER_IOPF };

	cmd.trigger_iopf.dev_id = f->device;
	cmd.trigger_iopf.grpid = group;
	cmd.trigger_iopf.perm = IOMMU_PGFAULT_PERM_READ;
	CHECK(ioctl(f->fd, IOMMU_TEST_CMD, &cmd) == 0);
}

#define NOWHERE ((void *)4096)

/* For these and for nothing else. */
static bool is_ready(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

	CHECK(poll(&pfd, 1, 0) >= 0);
	return pfd.revents == events;
}

static void who_waits_for_edges_gets_one_per_event(void)
{
	struct faulting f = faulting_build();
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct iommu_hwpt_pgfault faults[3];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, f.queue, &event) == 0);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	for (uint32_t i = 0; i < 3; i++) {
		request(&f, i);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	}
	/* One read takes them all, and there is nothing left to wait for. */
	CHECK(read(f.queue, faults, sizeof(faults)) == sizeof(faults));
	CHECK(is_ready(f.queue, POLLOUT));
	request(&f, 4);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
	CHECK(is_ready(f.queue, POLLIN | POLLOUT));
	close(epoll);
	close(f.queue);
	close(f.fd);
}

/* More than a page of a pipe takes, or a socket. */
#define MANY 5000

static void each_is_an_edge_however_many_are_unread(void)
{
	struct faulting f = faulting_build();
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, f.queue, &event) == 0);
	for (uint32_t i = 0; i < MANY; i++) {
		request(&f, i % 8);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
		CHECK(is_ready(f.queue, POLLIN | POLLOUT));
	}
	close(epoll);
	close(f.queue);
	close(f.fd);
}

static void what_is_answered_for_the_program_is_not_waited_for(void)
{
	struct faulting f = faulting_build();
	struct epoll_event level = { .events = EPOLLIN }, edge = { .events = EPOLLIN | EPOLLET };
	int levels = epoll_create1(EPOLL_CLOEXEC), edges = epoll_create1(EPOLL_CLOEXEC);
	struct iommu_hwpt_pgfault fault;

	CHECK(epoll_ctl(levels, EPOLL_CTL_ADD, f.queue, &level) == 0);
	CHECK(epoll_ctl(edges, EPOLL_CTL_ADD, f.queue, &edge) == 0);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 3; i++)
			request(&f, i);
		CHECK(is_ready(f.queue, POLLIN | POLLOUT));
		CHECK(epoll_wait(levels, &level, 1, 0) == 1);
		CHECK(epoll_wait(edges, &edge, 1, 0) == 1);
		attach(&f, f.ioas);
		CHECK(is_ready(f.queue, POLLOUT));
		CHECK(epoll_wait(levels, &level, 1, 0) == 0);
		CHECK(epoll_wait(edges, &edge, 1, 0) == 0);
		CHECK(read(f.queue, &fault, sizeof(fault)) == 0);
		attach(&f, f.hwpt);
		CHECK(is_ready(f.queue, POLLOUT));
	}
	request(&f, 1);
	CHECK(is_ready(f.queue, POLLIN | POLLOUT));
	/* The device goes. */
	CHECK(destroy(f.fd, f.stdev) == 0);
	CHECK(is_ready(f.queue, POLLOUT));
	close(levels);
	close(edges);
	close(f.queue);
	close(f.fd);
}

static void *look_at_it(void *arg)
{
	struct faulting *f = arg;

	/* Who can read it sees so all the time, whatever comes meanwhile. */
	for (int i = 0; i < 20000; i++)
		CHECK(is_ready(f->queue, POLLIN | POLLOUT));
	return NULL;
}

static void an_event_does_not_hide_another(void)
{
	struct faulting f = faulting_build();
	pthread_t looker;

	request(&f, 0);
	CHECK(pthread_create(&looker, NULL, look_at_it, &f) == 0);
	for (uint32_t i = 0; i < 2000; i++)
		request(&f, i % 8);
	CHECK(pthread_join(looker, NULL) == 0);
	close(f.queue);
	close(f.fd);
}

/* ---- many at once ---- */

struct busy {
	struct faulting f;
	_Atomic bool stop;
};

static void *read_and_answer(void *arg)
{
	struct busy *busy = arg;
	struct iommu_hwpt_pgfault fault;
	struct pollfd pfd = { .fd = busy->f.queue, .events = POLLIN };

	while (!atomic_load(&busy->stop)) {
		struct iommu_hwpt_page_response answer = { 0 };

		CHECK(poll(&pfd, 1, 10) >= 0);
		if (read(busy->f.queue, &fault, sizeof(fault)) <= 0)
			continue;
		answer.cookie = fault.cookie;
		/* Or it has been answered, by a switch. */
		if (write(busy->f.queue, &answer, sizeof(answer)) < 0)
			CHECK(errno == EINVAL);
	}
	return NULL;
}

static void *switch_about(void *arg)
{
	struct busy *busy = arg;

	while (!atomic_load(&busy->stop)) {
		attach(&busy->f, busy->f.ioas);
		attach(&busy->f, busy->f.hwpt);
	}
	return NULL;
}

static void whoever_empties_it_it_is_ready_only_while_it_is_not_empty(void)
{
	static void *(*const what[])(void *) = { read_and_answer, read_and_answer, switch_about };
	struct iommu_hwpt_pgfault fault;

	for (int round = 0; round < 10; round++) {
		struct busy busy = { .f = faulting_build() };
		struct iommu_test_cmd cmd = {
			.size = sizeof(cmd), .op = IOMMU_TEST_OP_TRIGGER_IOPF,
			.trigger_iopf.dev_id = busy.f.device,
		};
		pthread_t threads[3];

		for (int i = 0; i < 3; i++)
			CHECK(pthread_create(&threads[i], NULL, what[i], &busy) == 0);
		/* While it is attached elsewhere there is nobody to ask. */
		for (int i = 0; i < 300; i++)
			if (ioctl(busy.f.fd, IOMMU_TEST_CMD, &cmd))
				CHECK(errno == EINVAL);
		atomic_store(&busy.stop, true);
		for (int i = 0; i < 3; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);
		while (is_ready(busy.f.queue, POLLIN | POLLOUT))
			CHECK(read(busy.f.queue, &fault, sizeof(fault)) == sizeof(fault));
		CHECK(is_ready(busy.f.queue, POLLOUT));
		CHECK(read(busy.f.queue, &fault, sizeof(fault)) == 0);
		request(&busy.f, 1);
		CHECK(is_ready(busy.f.queue, POLLIN | POLLOUT));
		close(busy.f.queue);
		close(busy.f.fd);
	}
}

static void many_events_leave_nothing_behind(void)
{
	static struct iommu_hwpt_pgfault faults[MANY];
	struct faulting f = faulting_build();

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++)
			request(&f, i % 8);
		CHECK(is_ready(f.queue, POLLIN | POLLOUT));
		CHECK(read(f.queue, faults, sizeof(faults[0])) == sizeof(faults[0]));
		CHECK(is_ready(f.queue, POLLIN | POLLOUT));
		CHECK(read(f.queue, faults, sizeof(faults)) == (MANY - 1) * sizeof(faults[0]));
		CHECK(is_ready(f.queue, POLLOUT));
		CHECK(read(f.queue, faults, sizeof(faults)) == 0);
	}
	close(f.queue);
	close(f.fd);
}

static void what_a_read_leaves_is_no_edge(void)
{
	struct faulting f = faulting_build();
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct iommu_hwpt_pgfault fault;

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, f.queue, &event) == 0);
	request(&f, 1);
	request(&f, 2);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
	CHECK_ERRNO(EINVAL, read(f.queue, &fault, 0));
	CHECK_ERRNO(EFAULT, read(f.queue, NOWHERE, sizeof(fault)));
	CHECK(read(f.queue, &fault, sizeof(fault)) == sizeof(fault));
	CHECK(is_ready(f.queue, POLLIN | POLLOUT));
	CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	close(epoll);
	close(f.queue);
	close(f.fd);
}

static void flags_are_the_files(void)
{
	struct faulting f = faulting_build();
	struct iommu_hwpt_pgfault fault;

	CHECK(fcntl(f.queue, F_GETFL) == O_RDWR);
	CHECK(fcntl(f.queue, F_SETFL, O_NONBLOCK) == 0);
	CHECK(fcntl(f.queue, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(read(f.queue, &fault, sizeof(fault)) == 0);
	request(&f, 1);
	CHECK(is_ready(f.queue, POLLIN | POLLOUT));
	CHECK(read(f.queue, &fault, sizeof(fault)) == sizeof(fault));
	CHECK(fcntl(f.queue, F_SETFL, 0) == 0);
	CHECK(fcntl(f.queue, F_GETFL) == O_RDWR);
	/* It never waits, however it was asked. */
	CHECK(read(f.queue, &fault, sizeof(fault)) == 0);
	CHECK(is_ready(f.queue, POLLOUT));
	close(f.queue);
	close(f.fd);
}

/* ---- the last descriptor ---- */

static int queue_alloc(int fd, uint32_t *id)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };

	CHECK(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &fault) == 0);
	*id = fault.out_fault_id;
	return (int)fault.out_fault_fd;
}

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	CHECK(sendmsg(socket, &msg, 0) == 1);
}

static void a_queue_ends_with_its_last_descriptor(void)
{
	int fd = open_iommu(), queue, copy, ends[2], go[2];
	uint32_t id;
	pid_t pid;

	for (int i = 0; i < 100; i++) {
		queue = queue_alloc(fd, &id);
		CHECK_ERRNO(EBUSY, destroy(fd, id));
		close(queue);
		CHECK(destroy(fd, id) == 0);
	}
	queue = queue_alloc(fd, &id);
	copy = dup(queue);
	CHECK(copy >= 0 && dup2(queue, 9) == 9);
	close(queue);
	close(copy);
	CHECK_ERRNO(EBUSY, destroy(fd, id));
	close(9);
	CHECK(destroy(fd, id) == 0);
	/* On its way through a socket nobody has it, and it is open. */
	queue = queue_alloc(fd, &id);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	send_fd(ends[0], queue);
	close(queue);
	CHECK_ERRNO(EBUSY, destroy(fd, id));
	close(ends[0]);
	close(ends[1]);
	CHECK(destroy(fd, id) == 0);
	queue = queue_alloc(fd, &id);
	CHECK(pipe(go) == 0);
	pid = fork();
	if (!pid) {
		char byte;

		close(go[1]);
		_exit(read(go[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(queue);
	CHECK_ERRNO(EBUSY, destroy(fd, id));
	close(go[0]);
	close(go[1]);
	CHECK(child_status(pid) == 0);
	CHECK(destroy(fd, id) == 0);
	close(fd);
}

static void *wait_in_vain(void *arg)
{
	struct pollfd pfd = { .fd = *(int *)arg, .events = POLLIN };

	/* Unless it was closed before we came. */
	CHECK(poll(&pfd, 1, 100) == 0 || pfd.revents == POLLNVAL);
	return NULL;
}

static void who_waits_keeps_it_open(void)
{
	int fd = open_iommu(), queue;
	pthread_t waiter;
	uint32_t id;

	queue = queue_alloc(fd, &id);
	CHECK(pthread_create(&waiter, NULL, wait_in_vain, &queue) == 0);
	usleep(20000); /* only makes it likely that he waits */
	close(queue);
	CHECK(destroy(fd, id) == 0 || errno == EBUSY);
	CHECK(pthread_join(waiter, NULL) == 0);
	CHECK(destroy(fd, id) == 0 || errno == ENOENT);
	close(fd);
}

static void *wait_for_it(void *arg)
{
	struct pollfd pfd = { .fd = *(int *)arg, .events = POLLIN };

	CHECK(poll(&pfd, 1, -1) == 1 && pfd.revents == POLLIN);
	return NULL;
}

static void everybody_who_waits_is_woken(void)
{
	struct faulting f = faulting_build();
	int copy = dup(f.queue);
	pthread_t waiters[2];

	CHECK(pthread_create(&waiters[0], NULL, wait_for_it, &f.queue) == 0);
	CHECK(pthread_create(&waiters[1], NULL, wait_for_it, &copy) == 0);
	usleep(20000); /* only makes it likely that they wait */
	request(&f, 1);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(waiters[i], NULL) == 0);
	close(copy);
	close(f.queue);
	close(f.fd);
}

/* ---- queues of events ---- */

#define VIRT_ID 7
#define DEPTH 2

/* A device behind a vIOMMU, and the queue of what happens to it. */
static int veventq_build(struct faulting *f)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = f->device, .pt_id = f->ioas,
	};
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu), .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = f->device,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice), .dev_id = f->device, .virt_id = VIRT_ID,
	};
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq), .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = DEPTH,
	};
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc nested = {
		.size = sizeof(nested), .dev_id = f->device,
		.data_type = IOMMU_HWPT_DATA_SELFTEST, .data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	CHECK(ioctl(f->fd, IOMMU_HWPT_ALLOC, &hwpt) == 0);
	viommu.hwpt_id = hwpt.out_hwpt_id;
	CHECK(ioctl(f->fd, IOMMU_VIOMMU_ALLOC, &viommu) == 0);
	vdevice.viommu_id = veventq.viommu_id = nested.pt_id = viommu.out_viommu_id;
	CHECK(ioctl(f->fd, IOMMU_VDEVICE_ALLOC, &vdevice) == 0);
	CHECK(ioctl(f->fd, IOMMU_VEVENTQ_ALLOC, &veventq) == 0);
	CHECK(ioctl(f->fd, IOMMU_HWPT_ALLOC, &nested) == 0);
	attach(f, nested.out_hwpt_id);
	return (int)veventq.out_veventq_fd;
}

static void report(const struct faulting *f)
{
	struct iommu_test_cmd cmd = { .size = sizeof(cmd), .op = IOMMU_TEST_OP_TRIGGER_VEVENT };

	cmd.trigger_vevent.dev_id = f->device;
	CHECK(ioctl(f->fd, IOMMU_TEST_CMD, &cmd) == 0);
}

static void a_queue_of_events_is_never_writable(void)
{
	const size_t item = sizeof(struct iommufd_vevent_header) +
			    sizeof(struct iommu_viommu_event_selftest);
	struct faulting f = faulting_build();
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC), queue = veventq_build(&f);
	char items[256];

	CHECK(fcntl(queue, F_GETFL) == O_RDWR);
	CHECK(is_ready(queue, 0));
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &event) == 0);
	/* Those it has no room for are events too, and one header tells of all. */
	for (int i = 0; i < DEPTH + 3; i++) {
		report(&f);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
		CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
		CHECK(is_ready(queue, POLLIN));
	}
	CHECK(read(queue, items, DEPTH * item) == (ssize_t)(DEPTH * item));
	CHECK(is_ready(queue, POLLIN));
	CHECK(read(queue, items, sizeof(items)) == sizeof(struct iommufd_vevent_header));
	CHECK(is_ready(queue, 0));
	CHECK(read(queue, items, sizeof(items)) == 0);
	report(&f);
	CHECK_ERRNO(EFAULT, read(queue, NOWHERE, sizeof(items)));
	CHECK(is_ready(queue, POLLIN));
	CHECK_ERRNO(EINVAL, write(queue, items, 8));
	CHECK(read(queue, items, sizeof(items)) == (ssize_t)item);
	CHECK(is_ready(queue, 0));
	close(epoll);
	close(queue);
	close(f.queue);
	close(f.fd);
}

static void a_queue_has_no_position_but_here(void)
{
	struct iommu_hwpt_pgfault faults[2];
	struct iovec iov[2] = { { &faults[0], sizeof(faults[0]) },
				{ &faults[1], sizeof(faults[1]) } };
	struct faulting f = faulting_build();

	for (uint32_t i = 0; i < 3; i++)
		request(&f, i);
	CHECK_ERRNO(ESPIPE, pread(f.queue, faults, sizeof(faults), 0));
	CHECK_ERRNO(ESPIPE, preadv2(f.queue, iov, 2, 0, 0));
	CHECK_ERRNO(ESPIPE, lseek(f.queue, 0, SEEK_CUR));
	CHECK(preadv2(f.queue, iov, 2, -1, 0) == sizeof(faults));
	CHECK(preadv2(f.queue, iov, 1, -1, RWF_HIPRI) == sizeof(faults[0]));
	CHECK_ERRNO(EOPNOTSUPP, preadv2(f.queue, iov, 1, -1, RWF_NOWAIT));
	close(f.queue);
	close(f.fd);
}

static void what_commands_make_is_closed_by_exec(void)
{
	struct faulting f = faulting_build();
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd), .op = IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas_alloc(f.fd),
	};

	CHECK(ioctl(f.fd, IOMMU_TEST_CMD, &cmd) == 0);
	CHECK(fcntl((int)cmd.create_access.out_access_fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(f.queue, F_GETFD) == FD_CLOEXEC);
	close((int)cmd.create_access.out_access_fd);
	close(f.queue);
	close(f.fd);
}

static void a_dmabuf_tells_its_size(void)
{
	struct iommu_test_cmd cmd = { .size = sizeof(cmd), .op = IOMMU_TEST_OP_DMABUF_GET };
	int fd = open_iommu(), dmabuf;
	struct stat st;

	cmd.dmabuf_get.length = 3 * 4096;
	cmd.dmabuf_get.open_flags = O_RDWR | O_CLOEXEC;
	dmabuf = ioctl(fd, IOMMU_TEST_CMD, &cmd);
	CHECK(dmabuf >= 0);
	CHECK(lseek(dmabuf, 0, SEEK_END) == 3 * 4096);
	CHECK(lseek(dmabuf, 0, SEEK_SET) == 0);
	CHECK(fstat(dmabuf, &st) == 0 && st.st_size == 3 * 4096);
	CHECK_ERRNO(EINVAL, mmap(NULL, 4096, PROT_READ, MAP_SHARED, dmabuf, 0));
	close(dmabuf);
	close(fd);
}

int main(void)
{
	who_waits_for_edges_gets_one_per_event();
	each_is_an_edge_however_many_are_unread();
	many_events_leave_nothing_behind();
	what_is_answered_for_the_program_is_not_waited_for();
	an_event_does_not_hide_another();
	whoever_empties_it_it_is_ready_only_while_it_is_not_empty();
	what_a_read_leaves_is_no_edge();
	flags_are_the_files();
	a_queue_ends_with_its_last_descriptor();
	who_waits_keeps_it_open();
	everybody_who_waits_is_woken();
	a_queue_of_events_is_never_writable();
	a_queue_has_no_position_but_here();
	what_commands_make_is_closed_by_exec();
	a_dmabuf_tells_its_size();
	return 0;
}
