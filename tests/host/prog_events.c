/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that commands made: queues a program waits on and reads, accesses,
 * dma-bufs.  What a program does with them is what it does on Linux.
 */
#include "prog.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* A device whose page requests go to a queue. */
struct faulting {
	int fd;
	uint32_t device;
	int queue;
};

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
	f.device = cmd.mock_domain.out_idev_id;
	f.queue = (int)fault.out_fault_fd;
	hwpt.dev_id = f.device;
	hwpt.fault_id = fault.out_fault_id;
	CHECK(ioctl(f.fd, IOMMU_HWPT_ALLOC, &hwpt) == 0);
	cmd.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE;
	cmd.id = cmd.mock_domain.out_stdev_id;
	cmd.mock_domain_replace.pt_id = hwpt.out_hwpt_id;
	CHECK(ioctl(f.fd, IOMMU_TEST_CMD, &cmd) == 0);
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

static bool is_ready(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

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
	CHECK(is_ready(f.queue, 0) && is_ready(f.queue, POLLOUT));
	request(&f, 4);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 1);
	CHECK(is_ready(f.queue, POLLIN | POLLOUT));
	close(epoll);
	close(f.queue);
	close(f.fd);
}

/* More than the kernel keeps wakes for. */
#define MANY 1000

static void many_events_leave_nothing_behind(void)
{
	static struct iommu_hwpt_pgfault faults[MANY];
	struct faulting f = faulting_build();

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++)
			request(&f, i % 8);
		CHECK(is_ready(f.queue, POLLIN));
		CHECK(read(f.queue, faults, sizeof(faults[0])) == sizeof(faults[0]));
		CHECK(is_ready(f.queue, POLLIN));
		CHECK(read(f.queue, faults, sizeof(faults)) == (MANY - 1) * sizeof(faults[0]));
		CHECK(!is_ready(f.queue, POLLIN));
		CHECK(read(f.queue, faults, sizeof(faults)) == 0);
	}
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
	many_events_leave_nothing_behind();
	a_queue_has_no_position_but_here();
	what_commands_make_is_closed_by_exec();
	a_dmabuf_tells_its_size();
	return 0;
}
