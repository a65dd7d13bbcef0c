/* SPDX-License-Identifier: MIT */
/* Fault queues of the test's context, on top of the mock rig. */
#ifndef TESTS_FAULT_RIG_H
#define TESTS_FAULT_RIG_H

#include "../models/rig.h"

#include <poll.h>
#include <sys/mman.h>

#define MSG sizeof(struct iommu_hwpt_pgfault)
#define ANSWER sizeof(struct iommu_hwpt_page_response)

struct fault_q {
	u32 id;
	int fd;
};

static inline int q_alloc(struct fault_q *ret)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int rc = rig_ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (!rc)
		*ret = (struct fault_q){ cmd.out_fault_id, (int)cmd.out_fault_fd };
	return rc;
}

static inline int q_hwpt(struct fault_q q, u32 idev, u32 pt, u32 flags, u32 *ret_hwpt)
{
	struct iommu_hwpt_alloc cmd = { .flags = flags | IOMMU_HWPT_FAULT_ID_VALID, .dev_id = idev,
					.pt_id = pt, .fault_id = q.id };
	int rc = rig_hwpt_alloc(&cmd);

	if (!rc)
		*ret_hwpt = cmd.out_hwpt_id;
	return rc;
}

static inline int q_trigger(u32 idev, u32 pasid, u32 grpid, u64 addr)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = { .dev_id = idev, .pasid = pasid, .grpid = grpid,
				  .perm = IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE,
				  .addr = addr },
	};

	return rig_test(&cmd);
}

static inline ssize_t q_read(struct fault_q q, void *buf, size_t count)
{
	return iommufd_read(rig.proc, q.fd, buf, count);
}

static inline ssize_t q_answer(struct fault_q q, u32 cookie, u32 code)
{
	const struct iommu_hwpt_page_response answer = { .cookie = cookie, .code = code };

	return iommufd_write(rig.proc, q.fd, &answer, sizeof(answer));
}

/* What the descriptor says by itself, and what the library does. */
static inline bool q_readable(struct fault_q q)
{
	struct pollfd pfd = { .fd = q.fd, .events = POLLIN };
	int native = poll(&pfd, 1, 0);
	int ready = iommufd_poll(rig.proc, q.fd, POLLIN | POLLOUT, 0);

	assert_true(ready & POLLOUT);
	assert_int_equal(native, !!(ready & POLLIN));
	return ready & POLLIN;
}

/*
 * @good bytes that can be written, right before memory that is not there; unmap with q_edge_end()
 */
static inline char *q_edge(size_t good)
{
	char *va = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(va, MAP_FAILED);
	assert_int_equal(mprotect(va + 4096, 4096, PROT_NONE), 0);
	return va + 4096 - good;
}

static inline void q_edge_end(char *va)
{
	munmap((void *)((uintptr_t)(va - 1) & ~4095UL), 8192);
}

#endif
