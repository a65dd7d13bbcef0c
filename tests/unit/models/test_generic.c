/* SPDX-License-Identifier: MIT */
/*
 * Devices behind the generic IOMMU: bound, attached by RID and PASID, and what
 * the hardware finds in the tables for each access.
 */
#include "machine.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "iommu/group.h"

/* What the device's next request meets. */
static enum iommu_xlat_fault translate(u32 pasid, u64 iova, unsigned int access,
				       struct iommu_xlat *ret)
{
	struct iommu_attach_handle *handle = iommu_attach_handle_get(m.dev->iommu_group, pasid);

	memset(ret, 0, sizeof(*ret));
	if (!handle)
		return IOMMU_XLAT_NOT_ATTACHED;
	return handle->domain->ops->translate(handle->domain, iova, access, ret);
}

static char at(u64 pa)
{
	char byte = 0;

	assert_int_equal(iommufd_phys_read(m.system, pa, &byte, 1), 0);
	return byte;
}

static void what_is_mapped_is_translated(void **state)
{
	struct iommu_xlat xlat;
	u64 off;

	attach(IOMMU_NO_PASID, m.ioas);
	assert_int_equal(map(0x10000000, m.memory, LENGTH, MAP_RW), 0);
	for (off = 5; off < LENGTH; off += SZ_4K * 100 + 1) {
		m.memory[off] = off % 251;
		assert_int_equal(translate(0, 0x10000000 + off, R, &xlat), IOMMU_XLAT_OK);
		assert_int_equal(at(xlat.pa), m.memory[off]);
		assert_int_equal(xlat.prot, R | W);
		assert_true(xlat.dirty); /* nobody tracks */
		assert_true(xlat.lg2 > 12); /* memory is contiguous */
	}
	assert_int_equal(translate(0, 0x10000000 - 1, R, &xlat), IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(translate(0, 0x10000000 + LENGTH, R, &xlat), IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(unmap(0x10000000, LENGTH), 0);
	assert_int_equal(translate(0, 0x10000000, R, &xlat), IOMMU_XLAT_NOT_PRESENT);
}

static void rights_are_those_of_the_mapping(void **state)
{
	struct iommu_xlat xlat;

	attach(IOMMU_NO_PASID, m.ioas);
	assert_int_equal(map(SZ_2M, m.memory, SZ_4K, IOMMU_IOAS_MAP_READABLE), 0);
	assert_int_equal(map(2 * SZ_2M, m.memory, SZ_4K, IOMMU_IOAS_MAP_WRITEABLE), 0);
	assert_int_equal(translate(0, SZ_2M, R, &xlat), IOMMU_XLAT_OK);
	assert_int_equal(xlat.prot, R);
	assert_int_equal(translate(0, SZ_2M, W, &xlat), IOMMU_XLAT_PERMISSION);
	assert_int_equal(translate(0, 2 * SZ_2M, W, &xlat), IOMMU_XLAT_OK);
	assert_int_equal(translate(0, 2 * SZ_2M, R, &xlat), IOMMU_XLAT_PERMISSION);
}

static void iovas_end_at_48_bits_and_spare_the_hole_for_interrupts(void **state)
{
	const u64 last = (1ULL << 48) - SZ_4K;
	struct iommu_iova_range ranges[4];
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = m.ioas,
					      .num_iovas = 4,
					      .allowed_iovas = (uintptr_t)ranges };
	struct iommu_xlat xlat;

	attach(IOMMU_NO_PASID, m.ioas);
	assert_int_equal(command(IOMMU_IOAS_IOVA_RANGES, &cmd), 0);
	assert_int_equal(cmd.num_iovas, 2);
	assert_int_equal(ranges[0].start, 0);
	assert_int_equal(ranges[0].last, 0xfedfffff);
	assert_int_equal(ranges[1].start, 0xfef00000);
	assert_int_equal(ranges[1].last, last + SZ_4K - 1);
	assert_int_equal(cmd.out_iova_alignment, SZ_4K);

	/* the top level that the last iova needs is there when it is mapped */
	assert_int_equal(map(0, m.memory, SZ_4K, MAP_RW), 0);
	assert_int_equal(translate(0, last, R, &xlat), IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(map(last, m.memory + SZ_4K, SZ_4K, MAP_RW), 0);
	m.memory[SZ_4K + 17] = 99;
	assert_int_equal(translate(0, last + 17, R, &xlat), IOMMU_XLAT_OK);
	assert_int_equal(at(xlat.pa), 99);
	assert_int_equal(translate(0, 0, R, &xlat), IOMMU_XLAT_OK);
	assert_int_equal(translate(0, 1ULL << 48, R, &xlat), IOMMU_XLAT_OUT_OF_RANGE);
	assert_int_equal(map(0xfee00000, m.memory, SZ_4K, MAP_RW), -EINVAL);
	assert_int_equal(translate(0, 0xfee00000, W, &xlat), IOMMU_XLAT_NOT_PRESENT);
}

static void pasids_have_tables_of_their_own(void **state)
{
	struct iommu_ioas_alloc other = { .size = sizeof(other) };
	u32 rid, own, first_ioas = m.ioas, pt;
	struct iommu_xlat a, b;

	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_PASID, &rid), 0);
	attach(IOMMU_NO_PASID, rid);
	assert_int_equal(map(SZ_2M, m.memory, SZ_4K, MAP_RW), 0);
	assert_int_equal(command(IOMMU_IOAS_ALLOC, &other), 0);
	m.ioas = other.out_ioas_id;
	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_PASID, &own), 0);
	attach(PASIDS - 1, own);
	attach(1, rid);
	assert_int_equal(map(SZ_2M, m.memory + SZ_4K, SZ_4K, MAP_RW), 0);

	assert_int_equal(translate(0, SZ_2M, R, &a), IOMMU_XLAT_OK);
	assert_int_equal(translate(PASIDS - 1, SZ_2M, R, &b), IOMMU_XLAT_OK);
	assert_int_not_equal(a.pa, b.pa);
	assert_int_equal(translate(1, SZ_2M, R, &b), IOMMU_XLAT_OK);
	assert_int_equal(a.pa, b.pa);
	assert_int_equal(translate(2, SZ_2M, R, &b), IOMMU_XLAT_NOT_ATTACHED);
	pt = own;
	assert_int_equal(iommufd_device_attach(m.idev, PASIDS, &pt), -EINVAL);
	iommufd_device_detach(m.idev, PASIDS - 1);
	iommufd_device_detach(m.idev, 1);
	assert_int_equal(translate(1, SZ_2M, R, &b), IOMMU_XLAT_NOT_ATTACHED);
	m.ioas = first_ioas;
}

static void the_bitmap_shows_what_was_written(void **state)
{
	struct iommu_xlat xlat;
	u64 bits[2] = { 0 };
	u32 hwpt, i;

	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	attach(IOMMU_NO_PASID, hwpt);
	for (i = 0; i < 64; i++) /* an area each, so an entry each */
		assert_int_equal(map(SZ_2M + i * SZ_4K, m.memory + i * SZ_4K, SZ_4K, MAP_RW), 0);
	assert_int_equal(translate(0, SZ_2M, W, &xlat), IOMMU_XLAT_OK);
	assert_true(xlat.dirty);
	assert_int_equal(track(hwpt, true), 0);
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, bits), 0);
	assert_int_equal(bits[0], 0);
	for (i = 0; i < 64; i += 7) {
		assert_int_equal(translate(0, SZ_2M + i * SZ_4K, R, &xlat), IOMMU_XLAT_OK);
		assert_false(xlat.dirty);
	}
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, bits), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(translate(0, SZ_2M + 3 * SZ_4K + 8, W, &xlat), IOMMU_XLAT_OK);
	assert_true(xlat.dirty);
	assert_int_equal(translate(0, SZ_2M + 63 * SZ_4K, W, &xlat), IOMMU_XLAT_OK);
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, bits), 0);
	assert_int_equal(bits[0], 1ULL << 3 | 1ULL << 63);
	bits[0] = 0;
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, bits), 0);
	assert_int_equal(bits[0], 0);
	assert_int_equal(translate(0, SZ_2M, W, &xlat), IOMMU_XLAT_OK);
	assert_int_equal(track(hwpt, false), 0);
	assert_int_equal(translate(0, SZ_2M + SZ_4K, W, &xlat), IOMMU_XLAT_OK);
	bits[0] = 0;
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, bits), 0);
	assert_int_equal(bits[0], 1); /* what was written while it was on */
}

static void it_has_no_nesting_and_no_type(void **state)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = m.dev_id };
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu), .dev_id = m.dev_id,
					     .type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3 };
	u32 hwpt;

	assert_int_equal(command(IOMMU_GET_HW_INFO, &info), 0);
	assert_int_equal(info.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	assert_int_equal(info.data_len, 0);
	assert_int_equal(info.out_max_pasid_log2, 20);
	assert_int_equal(info.out_capabilities, IOMMU_HW_CAP_DIRTY_TRACKING);
	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), -EOPNOTSUPP);
	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID,
				    &hwpt), 0);
	viommu.hwpt_id = hwpt;
	assert_int_equal(command(IOMMU_VIOMMU_ALLOC, &viommu), -EOPNOTSUPP);
}

static void page_requests_reach_the_fault_queue(void **state)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .dev_id = m.dev_id,
					 .pt_id = m.ioas, .flags = IOMMU_HWPT_FAULT_ID_VALID };
	struct iopf_fault request = {
		.fault = { .type = IOMMU_FAULT_PAGE_REQ,
			   .prm = { .flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE, .grpid = 5,
				    .perm = IOMMU_FAULT_PERM_WRITE, .addr = 0x4000 } },
	};
	struct iommu_hwpt_page_response answer = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault event;

	assert_int_equal(iommu_report_device_fault(m.dev, &request), -EINVAL);
	assert_int_equal(command(IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	hwpt.fault_id = fault.out_fault_id;
	assert_int_equal(command(IOMMU_HWPT_ALLOC, &hwpt), 0);
	attach(IOMMU_NO_PASID, hwpt.out_hwpt_id);
	assert_int_equal(iommu_report_device_fault(m.dev, &request), 0);
	assert_int_equal(iommufd_read(m.proc, fault.out_fault_fd, &event, sizeof(event)),
			 sizeof(event));
	assert_int_equal(event.addr, 0x4000);
	assert_int_equal(event.grpid, 5);
	assert_int_equal(event.dev_id, m.dev_id);
	answer.cookie = event.cookie;
	assert_int_equal(iommufd_write(m.proc, fault.out_fault_fd, &answer, sizeof(answer)),
			 sizeof(answer));
	iommufd_device_detach(m.idev, IOMMU_NO_PASID);
	assert_int_equal(iommu_report_device_fault(m.dev, &request), -EINVAL);
}

/* The program: answers one request, having mapped what was asked for. */
static void *map_and_answer(void *arg)
{
	struct iommu_hwpt_page_response answer = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault event = { 0 };
	int fd = *(int *)arg;

	if (iommufd_poll(m.proc, fd, POLLIN, -1) != POLLIN ||
	    iommufd_read(m.proc, fd, &event, sizeof(event)) != sizeof(event) ||
	    map(event.addr, m.memory, SZ_4K, MAP_RW))
		answer.code = IOMMUFD_PAGE_RESP_INVALID;
	answer.cookie = event.cookie;
	iommufd_write(m.proc, fd, &answer, sizeof(answer));
	return NULL;
}

static void a_device_asks_for_a_page_waits_and_goes_on(void **state)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .dev_id = m.dev_id,
					 .pt_id = m.ioas, .flags = IOMMU_HWPT_FAULT_ID_VALID };
	pthread_t program;
	char byte = 'x';
	int fd;

	assert_int_equal(command(IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	hwpt.fault_id = fault.out_fault_id;
	assert_int_equal(command(IOMMU_HWPT_ALLOC, &hwpt), 0);
	attach(IOMMU_NO_PASID, hwpt.out_hwpt_id);
	fd = fault.out_fault_fd;
	assert_int_equal(iommufd_dma_write(m.dev, 0, 0x7000, &byte, 1, NULL), -EFAULT);
	assert_int_equal(pthread_create(&program, NULL, map_and_answer, &fd), 0);
	assert_int_equal(iommufd_dma_page_request(m.dev, 0, 0x7000, W, 60000), 0);
	pthread_join(program, NULL);
	assert_int_equal(iommufd_dma_write(m.dev, 0, 0x7000, &byte, 1, NULL), 0);
	assert_int_equal(m.memory[0], 'x');
}

static void dma_reads_and_writes_what_is_mapped_and_the_bitmap_says_so(void **state)
{
	struct iommufd_dma_fault why;
	u64 bits = 0, word = 0x1122334455667788, got = 0;
	u32 hwpt, i;

	assert_int_equal(hwpt_alloc(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	attach(IOMMU_NO_PASID, hwpt);
	for (i = 0; i < 64; i++)
		assert_int_equal(map(SZ_2M + i * SZ_4K, m.memory + i * SZ_4K, SZ_4K, MAP_RW), 0);
	for (i = 0; i < 64; i++) /* cached as writable before anybody tracks */
		assert_int_equal(iommufd_dma_write(m.dev, 0, SZ_2M + i * SZ_4K, &word, 8, &why), 0);
	assert_int_equal(track(hwpt, true), 0);
	assert_int_equal(iommufd_dma_write(m.dev, 0, SZ_2M + 5 * SZ_4K + 16, &word, 8, &why), 0);
	assert_int_equal(iommufd_dma_write(m.dev, 0, SZ_2M + 9 * SZ_4K - 4, &word, 8, &why), 0);
	assert_int_equal(iommufd_dma_read(m.dev, 0, SZ_2M + 5 * SZ_4K + 16, &got, 8, &why), 0);
	assert_int_equal(got, word);
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, &bits), 0);
	assert_int_equal(bits, 1ULL << 5 | 1ULL << 8 | 1ULL << 9);
	assert_int_equal(iommufd_dma_write(m.dev, 0, SZ_2M + 5 * SZ_4K, &word, 8, &why), 0);
	bits = 0;
	assert_int_equal(read_bitmap(hwpt, SZ_2M, 64 * SZ_4K, SZ_4K, &bits), 0);
	assert_int_equal(bits, 1ULL << 5); /* cleared marks are not cached ones */
	assert_int_equal(unmap(SZ_2M, 64 * SZ_4K), 0);
	assert_int_equal(iommufd_dma_read(m.dev, 0, SZ_2M, &got, 8, &why), -EFAULT);
	assert_int_equal(why.reason, IOMMU_XLAT_NOT_PRESENT);
	assert_int_equal(why.iova, SZ_2M);
}

static void devices_of_the_callers_own_sit_behind_it_too(void **state)
{
	struct device own = { .name = "own", .pasid_limit = 16, .msi_isolated = true };
	struct iommufd_system *empty;
	struct iommufd_device *idev;
	struct device *none;
	u32 id, pt = m.ioas;

	assert_int_equal(iommufd_generic_probe(m.system, &own), 0);
	assert_int_equal(own.max_pasids, 16);
	idev = iommufd_device_bind(m.ctx, &own, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), 0);
	iommufd_device_detach(idev, IOMMU_NO_PASID);
	iommufd_device_unbind(idev);
	iommu_release_device(&own);

	assert_int_equal(iommufd_generic_init(m.system), -EEXIST);
	assert_int_equal(iommufd_system_create(NULL, &empty), 0);
	assert_int_equal(iommufd_generic_device_create(empty, "none", &none), -ENODEV);
	iommufd_system_destroy(empty);
	iommufd_generic_device_destroy(NULL);
}

static void it_is_made_whole_or_not_at_all(void **state)
{
	struct fault_state faults = { .nth = 0 };
	struct iommufd_system *system;
	struct device *dev;
	u32 nth = 0;
	bool failed;
	int rc;

	do {
		assert_int_equal(iommufd_system_create(NULL, &system), 0);
		atomic_store(&faults.nth, ++nth);
		fault_current = &faults;
		rc = iommufd_generic_init(system);
		if (!rc)
			rc = iommufd_generic_device_create(system, "engine", &dev);
		fault_current = NULL;
		failed = !atomic_load(&faults.nth);
		assert_int_equal(rc, failed ? -ENOMEM : 0);
		if (!rc)
			iommufd_generic_device_destroy(dev);
		iommufd_system_destroy(system);
	} while (failed);
	assert_true(nth > 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, machine_begin, machine_end)
	const struct CMUnitTest tests[] = {
		TEST(what_is_mapped_is_translated),
		TEST(rights_are_those_of_the_mapping),
		TEST(iovas_end_at_48_bits_and_spare_the_hole_for_interrupts),
		TEST(pasids_have_tables_of_their_own),
		TEST(the_bitmap_shows_what_was_written),
		TEST(it_has_no_nesting_and_no_type),
		TEST(page_requests_reach_the_fault_queue),
		TEST(a_device_asks_for_a_page_waits_and_goes_on),
		TEST(dma_reads_and_writes_what_is_mapped_and_the_bitmap_says_so),
		TEST(devices_of_the_callers_own_sit_behind_it_too),
		TEST(it_is_made_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
