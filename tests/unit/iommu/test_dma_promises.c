/* SPDX-License-Identifier: MIT */
/*
 * What <iommufd/dma.h> promises, asked by devices that do as badly as they can: at the ends of
 * the address space, without end, and while things are taken away from them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../base/set_clock.h"
#include "../mem/keep_signals.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dma_rig.h"
#include "iommu/group.h"
#include "iommu/iotlb.h"

#define BASE 0x10000000ULL
#define MANY 3000

static struct rig rig;
static u64 *memory;
static struct iommufd_dma_fault why;

static void begin(bool check)
{
	rig_begin(&rig, IOMMUFD_FRAMES_CONTIGUOUS, check);
	memory = pages_alloc(4 * PAGE);
	rig_map(&rig, BASE, memory, 4 * PAGE, RW);
}

static int setup(void **state)
{
	begin(false);
	rig_attach(&rig, IOMMU_NO_PASID);
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

static int read8(ioasid_t pasid, u64 iova)
{
	u64 value;

	return iommufd_dma_read(rig.dev, pasid, iova, &value, 8, &why);
}

/* ---- ends of things ---- */

static void the_last_byte_of_all_can_be_asked_for(void **state)
{
	struct iommufd_dma_map *map = NULL;
	u8 bytes[16] = { 0 };
	u64 old, pa;

	for (unsigned int i = 0; i < 2; i++) { /* with nothing cached, and with the page cached */
		assert_int_equal(iommufd_dma_read(rig.dev, 0, UINT64_MAX, bytes, 1, &why), -ERANGE);
		assert_int_equal(why.iova, UINT64_MAX);
		assert_int_equal(iommufd_dma_write(rig.dev, 0, UINT64_MAX - 7, bytes, 8, &why),
				 -ERANGE);
		assert_int_equal(iommufd_dma_map(rig.dev, 0, UINT64_MAX - 7, 8, RW, &map, &why),
				 -ERANGE);
		assert_int_equal(iommufd_dma_atomic(rig.dev, 0, UINT64_MAX - 7, 8,
						    IOMMUFD_DMA_SWAP, 1, 0, &old, &why), -ERANGE);
		assert_int_equal(iommufd_dma_translate(rig.dev, 0, UINT64_MAX, IOMMU_READ, &pa),
				 -ERANGE);
	}
	assert_null(map);
}

static void what_wraps_is_refused_and_touches_nothing(void **state)
{
	struct iommufd_dma_map *map = NULL;
	u8 bytes[2 * PAGE];

	memset(bytes, 7, sizeof(bytes));
	assert_int_equal(iommufd_dma_read(rig.dev, 0, UINT64_MAX, bytes, 2, &why), -EINVAL);
	assert_int_equal(why.access, IOMMU_READ);
	assert_int_equal(iommufd_dma_write(rig.dev, 0, UINT64_MAX - PAGE, bytes, sizeof(bytes),
					   &why), -EINVAL);
	assert_int_equal(why.access, IOMMU_WRITE);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, BASE, bytes, SIZE_MAX, &why), -EINVAL);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, SIZE_MAX, RW, &map, &why), -EINVAL);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, UINT64_MAX, 2, RW, &map, &why), -EINVAL);
	assert_int_equal(iommufd_ats_read(rig.dev, UINT64_MAX, bytes, 2, &why), -EINVAL);
	assert_int_equal(bytes[0], 7);
	assert_null(map);
}

static void no_bytes_are_no_access(void **state)
{
	struct iommufd_dma_map *map = NULL;

	assert_int_equal(iommufd_dma_read(rig.dev, 0, 0, NULL, 0, &why), 0);
	assert_int_equal(iommufd_dma_write(rig.dev, 0, UINT64_MAX, NULL, 0, &why), 0);
	assert_int_equal(read8(0, BASE), 0);
	assert_int_equal(iommufd_dma_write(rig.dev, 0, BASE, NULL, 0, &why), 0);
	assert_int_equal(iommufd_ats_read(rig.dev, 0, NULL, 0, &why), 0);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 0, RW, &map, &why), -EINVAL);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 8, 0, &map, &why), -EINVAL);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 8, 8, &map, &why), -EINVAL);
	assert_null(map);
}

static void atomics_are_of_two_sizes_and_aligned(void **state)
{
	static const u64 sizes[] = { 0, 1, 2, 3, 5, 6, 7, 9, 16, SIZE_MAX };
	u64 old = 99;

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, sizes[i],
						    IOMMUFD_DMA_FETCH_ADD, 1, 0, &old, &why),
				 -EINVAL);
	for (u64 off = 1; off < 8; off++) {
		assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + off, 8, IOMMUFD_DMA_SWAP, 1,
						    0, &old, &why), -EINVAL);
		assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE + off, 4, IOMMUFD_DMA_SWAP, 1,
						    0, &old, &why), off == 4 ? 0 : -EINVAL);
	}
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, 8, (enum iommufd_dma_op)3, 1, 0,
					    &old, &why), -EINVAL);
	assert_int_equal(iommufd_dma_atomic(rig.dev, 0, BASE, 8, (enum iommufd_dma_op)-1, 1, 0,
					    &old, &why), -EINVAL);
	assert_int_equal(memory[0], 1ULL << 32);
}

static enum iommu_xlat_fault all_at_once(struct iommu_domain *domain, u64 iova,
					 unsigned int access, struct iommu_xlat *ret)
{
	u64 pa = domain->ops->iova_to_phys(domain, BASE);

	/* One entry of all there is, whose pages happen to be where a guest would not look. */
	*ret = (struct iommu_xlat){ .pa = pa + (iova & (4 * PAGE - 1)), .lg2 = 64, .prot = RW,
				    .dirty = true };
	return IOMMU_XLAT_OK;
}

static void an_entry_may_be_as_large_as_all(void **state)
{
	struct iommu_domain *domain = rig.dev->iommu_group->domain;
	const struct iommu_domain_ops *real = domain->ops;
	struct iommu_domain_ops ops = *real;
	u8 byte = 0;

	((u8 *)memory)[4 * PAGE - 1] = 55;
	ops.translate = all_at_once;
	domain->ops = &ops;
	assert_int_equal(iommufd_dma_read(rig.dev, 0, UINT64_MAX, &byte, 1, &why), 0);
	assert_int_equal(byte, 55);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, UINT64_MAX, &byte, 1, &why), 0);
	domain->ops = real;
	iommufd_iotlb_flush(domain, UINT64_MAX, UINT64_MAX);
	assert_int_equal(iommufd_dma_read(rig.dev, 0, UINT64_MAX, &byte, 1, &why), -ERANGE);
}

/* ---- without end ---- */

static u32 count_caches(void)
{
	struct iommu_dma *dma = rig.dev->dma;
	struct iotlb *iotlb;
	u32 n = 0;

	mutex_lock(&dma->lock);
	cds_list_for_each_entry(iotlb, &dma->iotlbs, dev_node)
		n++;
	mutex_unlock(&dma->lock);
	return n;
}

static void a_device_may_name_any_number_of_pasids(void **state)
{
	struct iommufd_iotlb_counters before, after;

	iommufd_iotlb_counters(rig.dev, &before);
	for (u32 pasid = 1; pasid <= MANY; pasid++) {
		assert_int_equal(read8(pasid, BASE), -ENODEV);
		assert_int_equal(why.pasid, pasid);
		if (pasid % 100 == 0)
			assert_int_equal(read8(0, BASE), 0);
	}
	assert_int_equal(read8(UINT32_MAX, BASE), -ENODEV);
	assert_in_range(count_caches(), 1, IOTLBS_PER_THREAD);
	iommufd_iotlb_counters(rig.dev, &after);
	assert_in_range(after.lookups - before.lookups, MANY, MANY + MANY / 100 + 1);
}

static u32 count_grants(void)
{
	struct iommu_dma *dma = rig.dev->dma;
	struct itree_node *node;
	u32 n = 0;

	read_lock(&dma->ats_lock);
	for (node = itree_first(&dma->grants, 0, UINT64_MAX); node;
	     node = itree_next(node, 0, UINT64_MAX))
		n++;
	read_unlock(&dma->ats_lock);
	return n;
}

static void asking_again_for_a_translation_adds_nothing(void **state)
{
	struct iommufd_ats_translation at, first;
	u64 value = 5;

	assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + 8, RW, &first, &why), 0);
	for (u32 i = 0; i < MANY; i++) {
		u64 off = 8 + i % (PAGE - 8);

		assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + off,
						       i & 1 ? RW : IOMMU_READ, &at, &why),
				 0);
		assert_int_equal(at.pa, first.pa + off - 8);
	}
	assert_int_equal(count_grants(), 1);
	for (u32 i = 9; i--;)
		assert_int_equal(iommufd_ats_translate(rig.dev, 0, BASE + i, IOMMU_READ, &at, &why),
				 0);
	assert_int_equal(count_grants(), 2); /* for reading from the first byte on; and the first */
	assert_int_equal(iommufd_ats_write(rig.dev, first.pa, &value, 8, &why), 0);
	assert_int_equal(iommufd_ats_write(rig.dev, at.pa, &value, 8, &why), -EACCES);
	assert_int_equal(rig_unmap(&rig, BASE, 4 * PAGE), 0);
	assert_int_equal(count_grants(), 0);
	rig_map(&rig, BASE, memory, 4 * PAGE, RW);
}

/* ---- while it is taken away ---- */

struct taker {
	pthread_t thread;
	void (*take)(void);
	atomic_bool done;
};

static void *take_it(void *arg)
{
	struct taker *taker = arg;

	taker->take();
	atomic_store(&taker->done, true);
	return NULL;
}

/* Does @take wait while a pointer to the first page is out? */
static void waits_for_pointers(void (*take)(void))
{
	struct taker taker = { .take = take };
	struct iommufd_dma_map *map;

	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 8, IOMMU_WRITE, &map, &why), 0);
	assert_int_equal(pthread_create(&taker.thread, NULL, take_it, &taker), 0);
	usleep(20000);
	assert_false(atomic_load(&taker.done));
	*(u64 *)map->segs[0].ptr = 77;
	assert_int_equal(iommufd_dma_unmap(map), 0);
	pthread_join(taker.thread, NULL);
	assert_int_equal(memory[0], 77);
}

static void master_off(void)
{
	iommufd_dma_bus_master(rig.dev, false);
}

static void no_pointer_is_out_when_bus_mastering_is_off(void **state)
{
	struct iommufd_dma_map *map = NULL;

	waits_for_pointers(master_off);
	assert_int_equal(read8(0, BASE), -EPERM);
	assert_int_equal(iommufd_dma_map(rig.dev, 0, BASE, 8, RW, &map, &why), -EPERM);
	iommufd_dma_bus_master(rig.dev, true);
	assert_int_equal(read8(0, BASE), 0);
}

static u64 bitmap;

static void collect(void)
{
	bitmap = 0;
	rig_dirty(&rig, BASE, 4 * PAGE, &bitmap);
}

/* Else what is written after the mark was cleared would be lost. */
static void a_bitmap_waits_for_pointers_to_what_it_clears(void **state)
{
	rig_track(&rig, true);
	waits_for_pointers(collect);
	assert_true(bitmap & 1);
	collect();
	assert_int_equal(bitmap, 0);
	rig_track(&rig, false);
}

static void detach(void)
{
	iommufd_device_detach(rig.idev, IOMMU_NO_PASID);
}

static void a_detach_waits_for_pointers(void **state)
{
	u32 pt = rig.hwpt;

	waits_for_pointers(detach);
	assert_int_equal(read8(0, BASE), -EPERM);
	assert_int_equal(iommufd_device_attach(rig.idev, IOMMU_NO_PASID, &pt), 0);
	assert_int_equal(read8(0, BASE), 0);
}

static int fault_fd;

static void attach_with_faults(ioasid_t pasid)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt),
					 .flags = IOMMU_HWPT_FAULT_ID_VALID |
						  IOMMU_HWPT_ALLOC_PASID,
					 .dev_id = rig.dev_id,
					 .pt_id = rig.ioas };

	assert_int_equal(rig_ioctl(&rig, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	fault_fd = (int)fault.out_fault_fd;
	hwpt.fault_id = fault.out_fault_id;
	assert_int_equal(rig_ioctl(&rig, IOMMU_HWPT_ALLOC, &hwpt), 0);
	assert_int_equal(iommufd_device_attach(rig.idev, pasid, &hwpt.out_hwpt_id), 0);
}

static void *ask(void *arg)
{
	int *rc = arg;

	*rc = iommufd_dma_page_request(rig.dev, 9, BASE + 8 * PAGE, IOMMU_WRITE, 60000);
	return NULL;
}

static void a_detach_answers_who_waits_for_a_page(void **state)
{
	struct iommu_hwpt_pgfault event;
	pthread_t threads[4];
	int rcs[4];

	for (u32 round = 0; round < 20; round++) {
		attach_with_faults(9);
		for (u32 i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, ask, &rcs[i]), 0);
		if (round & 1) /* some are with the program, some are not yet */
			while (iommufd_read(rig.proc, fault_fd, &event, sizeof(event)) !=
			       sizeof(event))
				usleep(50);
		iommufd_device_detach(rig.idev, 9);
		for (u32 i = 0; i < 4; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(rcs[i], -EACCES);
		}
		iommufd_close(rig.proc, fault_fd);
	}
	for (u32 i = 0; i < 2 * DMA_PAGE_REQUESTS; i++) /* no number is in use any more */
		assert_int_equal(iommufd_dma_page_request(rig.dev, 9, BASE, IOMMU_WRITE, 0),
				 -EACCES);
}

static void setting_the_clock_ends_no_wait_for_a_page(void **state)
{
	struct iommu_hwpt_page_response response = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault event;
	pthread_t thread;
	int rc = 1;

	attach_with_faults(9);
	atomic_store(&clock_ahead, -3600);
	assert_int_equal(pthread_create(&thread, NULL, ask, &rc), 0);
	while (iommufd_read(rig.proc, fault_fd, &event, sizeof(event)) != sizeof(event))
		usleep(50);
	usleep(10000); /* it waits by now, or did */
	response.cookie = event.cookie;
	assert_int_equal(iommufd_write(rig.proc, fault_fd, &response, sizeof(response)),
			 sizeof(response));
	pthread_join(thread, NULL);
	atomic_store(&clock_ahead, 0);
	assert_int_equal(rc, 0);
	iommufd_device_detach(rig.idev, 9);
	iommufd_close(rig.proc, fault_fd);
}

/* ---- the checker ---- */

static void the_checker_reports_dma_of_what_is_attached_to_nothing(void **state)
{
	assert_int_equal(read8(0, BASE), -EPERM);
	assert_int_equal(iommufd_dma_check_reports(rig.system), 1);
	assert_non_null(strstr(rig.last_line, "attached to nothing"));
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(read8(0, BASE), 0);
	assert_int_equal(read8(7, BASE), -ENODEV);
	assert_non_null(strstr(rig.last_line, "pasid 7: read of iova 0x10000000 while"));
	assert_int_equal(iommufd_dma_check_reports(rig.system), 2);
}

static void the_checker_lets_devices_try_where_pages_come_on_request(void **state)
{
	attach_with_faults(9);
	assert_int_equal(read8(9, BASE + 8 * PAGE), -EFAULT);
	assert_int_equal(read8(9, BASE), 0);
	assert_int_equal(iommufd_dma_check_reports(rig.system), 0);
	assert_int_equal(read8(9, UINT64_MAX - 7), -ERANGE); /* nobody can bring that */
	assert_int_equal(iommufd_dma_check_reports(rig.system), 1);
	iommufd_device_detach(rig.idev, 9);
	iommufd_close(rig.proc, fault_fd);
}

static void the_checker_says_who_mapped_it_and_when(void **state)
{
	char want[64];
	u64 value = 0;

	assert_int_equal(rig_unmap(&rig, BASE, 4 * PAGE), 0);
	rig_map(&rig, BASE, memory, 4 * PAGE, IOMMU_READ);
	rig_attach(&rig, IOMMU_NO_PASID);
	assert_int_equal(iommufd_dma_write(rig.dev, 0, BASE + PAGE, &value, 8, &why), -EACCES);
	snprintf(want, sizeof(want), "write of iova 0x%llx is not",
		 (unsigned long long)BASE + PAGE);
	assert_non_null(strstr(rig.last_line, want));
	snprintf(want, sizeof(want), "mapped by pid %d at ", (int)getpid());
	assert_non_null(strstr(rig.last_line, want));
	assert_non_null(strstr(rig.last_line, "area 0x10000000-0x10003fff"));
	assert_non_null(strstr(rig.last_line, rig.dev->name));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CHECKED(name) cmocka_unit_test_setup_teardown(name, setup_checked, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_last_byte_of_all_can_be_asked_for),
		TEST(what_wraps_is_refused_and_touches_nothing),
		TEST(no_bytes_are_no_access),
		TEST(atomics_are_of_two_sizes_and_aligned),
		TEST(an_entry_may_be_as_large_as_all),
		TEST(a_device_may_name_any_number_of_pasids),
		TEST(asking_again_for_a_translation_adds_nothing),
		TEST(no_pointer_is_out_when_bus_mastering_is_off),
		TEST(a_bitmap_waits_for_pointers_to_what_it_clears),
		TEST(a_detach_waits_for_pointers),
		TEST(a_detach_answers_who_waits_for_a_page),
		TEST(setting_the_clock_ends_no_wait_for_a_page),
		CHECKED(the_checker_reports_dma_of_what_is_attached_to_nothing),
		CHECKED(the_checker_lets_devices_try_where_pages_come_on_request),
		CHECKED(the_checker_says_who_mapped_it_and_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
