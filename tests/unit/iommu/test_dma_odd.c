/* SPDX-License-Identifier: MIT */
/*
 * DMA where something is not as usual: a driver that forgets to invalidate, the
 * checker that notices, pages that come on request, memory of another process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../mem/keep_signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/self.h"
#include "dma_rig.h"
#include "iommu/group.h"

#define BASE 0x10000000ULL

static struct rig rig;
static u64 *memory;

static void begin(bool check)
{
	rig_begin(&rig, IOMMUFD_FRAMES_CONTIGUOUS, check);
	memory = pages_alloc(4 * PAGE);
	rig_map(&rig, BASE + 64 * PAGE, (char *)memory + PAGE, PAGE, RW); /* keeps the backing */
	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_attach(&rig, IOMMU_NO_PASID);
}

static int setup(void **state)
{
	begin(false);
	return 0;
}

static int setup_checked(void **state)
{
	begin(true);
	return 0;
}

static int teardown(void **state)
{
	rig_end(&rig);
	munmap(memory, 4 * PAGE);
	return 0;
}

static int read8(u64 iova, u64 *value)
{
	return iommufd_dma_read(rig.dev, IOMMU_NO_PASID, iova, value, 8, NULL);
}

/* ---- a driver that forgets ---- */

static struct iommu_domain_ops forgetful_ops;

static void sync_nothing(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
}

static struct iommu_domain *make_forgetful(void)
{
	struct iommu_domain *domain = rig.dev->iommu_group->domain;

	forgetful_ops = *domain->ops;
	forgetful_ops.iotlb_sync = sync_nothing;
	domain->ops = &forgetful_ops;
	return domain;
}

static void test_a_translation_is_stale_until_invalidated(void **state)
{
	struct iommu_domain *domain = make_forgetful();
	u64 value = 0;

	memory[0] = 11;
	assert_int_equal(read8(BASE, &value), 0);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	memory[0] = 12;
	assert_int_equal(read8(BASE, &value), 0);
	assert_int_equal(value, 12);
	/* Another page of it: still not this one's. */
	iommufd_iotlb_flush(domain, BASE + PAGE, BASE + 2 * PAGE - 1);
	assert_int_equal(read8(BASE, &value), 0);
	iommufd_iotlb_flush(domain, BASE + 100, BASE + 100);
	assert_int_equal(read8(BASE, &value), -EFAULT);
}

static void test_the_checker_names_who_unmapped(void **state)
{
	char pid[32];
	u64 value;

	make_forgetful();
	assert_int_equal(read8(BASE, &value), 0);
	assert_int_equal(read8(BASE, &value), 0);
	assert_int_equal(iommufd_dma_check_reports(rig.system), 0);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	assert_int_equal(read8(BASE + 8, &value), 0);
	assert_int_equal(iommufd_dma_check_reports(rig.system), 1);
	snprintf(pid, sizeof(pid), "unmapped by pid %d", getpid());
	assert_non_null(strstr(rig.last_line, pid));
	assert_non_null(strstr(rig.last_line, "dev0"));
	assert_non_null(strstr(rig.last_line, "0x10000008"));
	assert_non_null(strstr(rig.last_line, "area 0x10000000-0x10000fff"));
}

static void test_the_checker_sees_a_translation_that_changed(void **state)
{
	u64 value;

	make_forgetful();
	assert_int_equal(read8(BASE, &value), 0);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	rig_map(&rig, BASE, (char *)memory + 2 * PAGE, PAGE, RW);
	assert_int_equal(read8(BASE, &value), 0);
	assert_int_equal(iommufd_dma_check_reports(rig.system), 1);
	assert_non_null(strstr(rig.last_line, "should have been invalidated"));
}

static void test_the_checker_reports_strays_and_late_comers(void **state)
{
	u64 value;

	assert_int_equal(read8(BASE + 16 * PAGE, &value), -EFAULT);
	assert_non_null(strstr(rig.last_line, "outside what the device was given"));
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	assert_int_equal(read8(BASE, &value), -EFAULT);
	assert_non_null(strstr(rig.last_line, "after the program has unmapped it"));
	assert_int_equal(iommufd_dma_check_reports(rig.system), 2);
}

static void test_the_checker_reports_what_was_left_mapped(void **state)
{
	u32 other = rig_ioas(&rig), first = rig.ioas;
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = other };

	rig.ioas = other;
	rig_map(&rig, BASE, memory, PAGE, RW);
	rig_map(&rig, BASE + PAGE, memory, PAGE, RW);
	assert_int_equal(rig_unmap(&rig, BASE, PAGE), 0);
	rig.ioas = first;
	assert_int_equal(rig_ioctl(&rig, IOMMU_DESTROY, &destroy), 0);
	assert_int_equal(iommufd_dma_check_reports(rig.system), 1);
	assert_non_null(strstr(rig.last_line, "left mapped"));
	assert_non_null(strstr(rig.last_line, "0x10001000-0x10001fff"));
}

/* The books are full of what is gone, the oldest of it beside what goes next. */
static void test_the_checker_forgets_the_oldest_of_what_is_gone(void **state)
{
	u64 old = BASE + 17 * PAGE, value;

	rig_map(&rig, old, memory, PAGE, RW);
	assert_int_equal(rig_unmap(&rig, old, PAGE), 0);
	for (int i = 1; i < 4096; i++) {
		rig_map(&rig, BASE + 40 * PAGE, memory, PAGE, RW);
		assert_int_equal(rig_unmap(&rig, BASE + 40 * PAGE, PAGE), 0);
	}
	assert_int_equal(read8(old, &value), -EFAULT);
	assert_non_null(strstr(rig.last_line, "after the program has unmapped it"));
	rig_map(&rig, old - PAGE, memory, 2 * PAGE, RW);
	assert_int_equal(rig_unmap(&rig, old - PAGE, 2 * PAGE), 0);
	assert_int_equal(read8(old, &value), -EFAULT);
	assert_non_null(strstr(rig.last_line, "area 0x10010000-0x10011fff"));
	for (int i = 0; i < 4096; i++) {
		rig_map(&rig, BASE + 40 * PAGE, memory, PAGE, RW);
		assert_int_equal(rig_unmap(&rig, BASE + 40 * PAGE, PAGE), 0);
	}
	assert_int_equal(read8(old, &value), -EFAULT);
	assert_non_null(strstr(rig.last_line, "is or was there"));
}

static void test_a_map_that_failed_was_never_there(void **state)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = rig.ioas,
		.user_va = (uintptr_t)memory,
		.length = 5 * PAGE,
		.iova = BASE + 16 * PAGE,
	};
	u64 value;

	/* Behind the last page there is nothing. */
	munmap((char *)memory + 3 * PAGE, PAGE);
	assert_int_equal(rig_ioctl(&rig, IOMMU_IOAS_MAP, &cmd), -EFAULT);
	assert_int_equal(read8(BASE + 16 * PAGE, &value), -EFAULT);
	assert_non_null(strstr(rig.last_line, "is or was there"));
}

/* ---- pages on request ---- */

static int fault_fd;

static void attach_with_faults(ioasid_t pasid)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt),
					 .flags = IOMMU_HWPT_FAULT_ID_VALID |
						  IOMMU_HWPT_ALLOC_PASID,
					 .dev_id = rig.dev_id,
					 .pt_id = rig.ioas };
	u32 pt;

	assert_int_equal(rig_ioctl(&rig, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	fault_fd = fault.out_fault_fd;
	hwpt.fault_id = fault.out_fault_id;
	assert_int_equal(rig_ioctl(&rig, IOMMU_HWPT_ALLOC, &hwpt), 0);
	pt = hwpt.out_hwpt_id;
	assert_int_equal(iommufd_device_attach(rig.idev, pasid, &pt), 0);
}

struct asking {
	unsigned int timeout_ms;
	int rc;
	int retried;
};

static void *device_asks(void *arg)
{
	struct asking *asking = arg;
	u64 value = 5;

	if (iommufd_dma_write(rig.dev, 9, BASE + 8 * PAGE, &value, 8, NULL) != -EFAULT)
		return NULL;
	asking->rc = iommufd_dma_page_request(rig.dev, 9, BASE + 8 * PAGE + 4, IOMMU_WRITE,
					      asking->timeout_ms);
	asking->retried = iommufd_dma_write(rig.dev, 9, BASE + 8 * PAGE, &value, 8, NULL);
	return NULL;
}

static void answer(u32 code, bool map)
{
	struct iommu_hwpt_page_response response = { .code = code };
	struct iommu_hwpt_pgfault fault;

	while (iommufd_read(rig.proc, fault_fd, &fault, sizeof(fault)) != sizeof(fault))
		usleep(100);
	assert_int_equal(fault.pasid, 9);
	assert_int_equal(fault.addr, BASE + 8 * PAGE);
	assert_int_equal(fault.perm, IOMMU_PGFAULT_PERM_WRITE);
	if (map)
		rig_map(&rig, BASE + 8 * PAGE, (char *)memory + 2 * PAGE, PAGE, RW);
	response.cookie = fault.cookie;
	assert_int_equal(iommufd_write(rig.proc, fault_fd, &response, sizeof(response)),
			 sizeof(response));
}

static void test_a_page_comes_on_request(void **state)
{
	struct asking asking = { .timeout_ms = 60000, .rc = 1, .retried = 1 };
	pthread_t thread;

	attach_with_faults(9);
	assert_int_equal(pthread_create(&thread, NULL, device_asks, &asking), 0);
	answer(IOMMUFD_PAGE_RESP_SUCCESS, true);
	pthread_join(thread, NULL);
	assert_int_equal(asking.rc, 0);
	assert_int_equal(asking.retried, 0);
	assert_int_equal(memory[2 * PAGE / 8], 5);
	iommufd_device_detach(rig.idev, 9);
	iommufd_close(rig.proc, fault_fd);
}

static void test_a_page_may_be_refused_or_late(void **state)
{
	struct asking asking = { .timeout_ms = 60000, .rc = 1, .retried = 1 };
	pthread_t thread;

	attach_with_faults(9);
	assert_int_equal(pthread_create(&thread, NULL, device_asks, &asking), 0);
	answer(IOMMUFD_PAGE_RESP_INVALID, false);
	pthread_join(thread, NULL);
	assert_int_equal(asking.rc, -EACCES);
	assert_int_equal(asking.retried, -EFAULT);
	asking = (struct asking){ .timeout_ms = 20, .rc = 1 };
	assert_int_equal(pthread_create(&thread, NULL, device_asks, &asking), 0);
	pthread_join(thread, NULL);
	assert_int_equal(asking.rc, -ETIMEDOUT);
	answer(IOMMUFD_PAGE_RESP_SUCCESS, false); /* nobody there: forgotten */
	/* On the RID nobody takes them. */
	assert_int_equal(iommufd_dma_page_request(rig.dev, 0, BASE, IOMMU_READ, 100), -EACCES);
	iommufd_device_detach(rig.idev, 9);
	iommufd_close(rig.proc, fault_fd);
}

/* ---- memory that can only be copied ---- */

static void test_private_memory_of_another_process_is_bounced(void **state)
{
	u64 *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 *private =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* Made before the fork: the command is read from the memory of who makes it. */
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .ioas_id = rig.ioas,
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
				      .user_va = (uintptr_t)private, .length = PAGE,
				      .iova = BASE + 8 * PAGE };
	struct mm *self = rig.proc->mm, *remote;
	struct iommufd_dma_map *map;
	u64 value = 0, old;
	pid_t child;
	int rc;

	private[0] = 1;
	private[PAGE / 8] = 2;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		private[0] = 21;
		__atomic_store_n(&shared[0], 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&shared[0], __ATOMIC_SEQ_CST) == 1)
			usleep(100);
		_exit(private[0] == 25 && private[1] == 77 && private[2] == 0x0909090909090909 ? 0 :
												 1);
	}
	while (!__atomic_load_n(&shared[0], __ATOMIC_SEQ_CST))
		usleep(100);
	assert_int_equal(mm_create_remote(rig.system->mem, child, &remote), 0);
	rig.proc->mm = remote;
	rc = rig_ioctl(&rig, IOMMU_IOAS_MAP, &cmd);
	rig.proc->mm = self;
	assert_int_equal(rc, 0);
	assert_int_equal(read8(BASE + 8 * PAGE, &value), 0);
	assert_int_equal(value, 21);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + 8 * PAGE, 8, IOMMUFD_DMA_FETCH_ADD,
					    4, 0, &old, NULL),
			 0);
	assert_int_equal(old, 21);
	value = 77;
	assert_int_equal(iommufd_dma_write(rig.dev, 0, BASE + 8 * PAGE + 8, &value, 8, NULL), 0);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE + 8 * PAGE + 16, 100, RW, &map, NULL), 0);
	assert_int_equal(map->count, 1);
	memset(map->segs[0].ptr, 9, 8);
	assert_int_equal(iommufd_dma_unmap(map), 0);
	assert_int_equal(private[0], 1); /* ours is not theirs */
	__atomic_store_n(&shared[0], 2, __ATOMIC_SEQ_CST);
	assert_int_equal(waitpid(child, &rc, 0), child);
	assert_int_equal(rc, 0);
	assert_int_equal(read8(BASE + 8 * PAGE, &value), -EIO);
	assert_int_equal(rig_unmap(&rig, BASE + 8 * PAGE, PAGE), 0);
	mm_put(remote);
	munmap(shared, PAGE);
	munmap(private, 2 * PAGE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define C(f) cmocka_unit_test_setup_teardown(f, setup_checked, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_translation_is_stale_until_invalidated),
		C(test_a_translation_is_stale_until_invalidated),
		C(test_the_checker_names_who_unmapped),
		C(test_the_checker_sees_a_translation_that_changed),
		C(test_the_checker_reports_strays_and_late_comers),
		C(test_the_checker_reports_what_was_left_mapped),
		C(test_the_checker_forgets_the_oldest_of_what_is_gone),
		C(test_a_map_that_failed_was_never_there),
		T(test_a_page_comes_on_request),
		T(test_a_page_may_be_refused_or_late),
		T(test_private_memory_of_another_process_is_bounced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
