/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "../mem/keep_signals.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "mem/mem.h"
#include "models/mock/mock.h"

struct rig rig;

#define RIG_MAPS 8
static struct {
	void *va;
	u64 length;
} rig_maps[RIG_MAPS];

static void rig_log(void *data, enum iommufd_log_level level, const char *line)
{
	print_message("%s\n", line);
}

int rig_begin(void **state)
{
	const struct iommufd_system_opts opts = {
		.size = sizeof(opts),
		.selftest = true,
		.log = rig_log,
		.log_level = IOMMUFD_LOG_WARN,
	};
	int rc;

	rc = iommufd_system_create(&opts, &rig.system);
	if (rc)
		return rc;
	if (!rig.system->mock)
		rc = iommufd_mock_init(rig.system);
	if (!rc)
		rc = iommufd_process_create(rig.system, &rig.proc);
	if (rc)
		return rc;
	rig.fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	return rig.fd < 0;
}

int rig_end(void **state)
{
	struct iommufd_ctx *ctx;
	char why[200] = "";
	u64 pins;
	int bad;

	if (iommufd_ctx_from_fd(rig.proc, rig.fd, &ctx))
		return -1;
	bad = iommufd_ctx_check(ctx, why, sizeof(why));
	iommufd_ctx_put(ctx);
	iommufd_process_destroy(rig.proc);
	pins = mem_space_pins(rig.system->mem);
	if (bad || pins || !cds_list_empty(&rig.system->contexts)) {
		print_error("left behind: %s, %llu pins\n", why, (unsigned long long)pins);
		bad = 1;
	}
	iommufd_system_destroy(rig.system);
	for (unsigned int i = 0; i < RIG_MAPS; i++) {
		if (rig_maps[i].va)
			munmap(rig_maps[i].va, rig_maps[i].length);
		rig_maps[i].va = NULL;
	}
	return bad;
}

void *rig_memory(u64 length)
{
	for (unsigned int i = 0; i < RIG_MAPS; i++) {
		if (rig_maps[i].va)
			continue;
		rig_maps[i].va = mmap(NULL, length, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		rig_maps[i].length = length;
		assert_ptr_not_equal(rig_maps[i].va, MAP_FAILED);
		return rig_maps[i].va;
	}
	fail();
	return NULL;
}

long rig_ioctl(unsigned int cmd, void *arg)
{
	return iommufd_ioctl(rig.proc, rig.fd, cmd, arg);
}

int rig_test(struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return rig_ioctl(IOMMU_TEST_CMD, cmd);
}

/* ---- ioas ---- */

u32 rig_ioas(void)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	return rig_ioctl(IOMMU_IOAS_ALLOC, &cmd) ? 0 : cmd.out_ioas_id;
}

int rig_destroy(u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return rig_ioctl(IOMMU_DESTROY, &cmd);
}

int rig_map(u32 ioas, void *va, u64 length, u64 iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return rig_ioctl(IOMMU_IOAS_MAP, &cmd);
}

int rig_unmap(u32 ioas, u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = ioas, .iova = iova,
					.length = length };

	return rig_ioctl(IOMMU_IOAS_UNMAP, &cmd);
}

int rig_huge_pages(u32 ioas, u64 on)
{
	struct iommu_option cmd = { .size = sizeof(cmd), .option_id = IOMMU_OPTION_HUGE_PAGES,
				    .op = IOMMU_OPTION_OP_SET, .object_id = ioas, .val64 = on };

	return rig_ioctl(IOMMU_OPTION, &cmd);
}

/* ---- mock devices ---- */

int rig_mock_domain(u32 pt, u32 dev_flags, struct mock_ids *ret)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, .id = pt,
				      .mock_domain_flags.dev_flags = dev_flags };
	int rc = rig_test(&cmd);

	if (!rc)
		*ret = (struct mock_ids){ cmd.mock_domain_flags.out_stdev_id,
					  cmd.mock_domain_flags.out_hwpt_id,
					  cmd.mock_domain_flags.out_idev_id };
	return rc;
}

struct mock_ids rig_mock(u32 pt)
{
	struct mock_ids ids = { 0 };

	assert_int_equal(rig_mock_domain(pt, 0, &ids), 0);
	return ids;
}

int rig_replace(u32 stdev, u32 *pt)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = stdev,
				      .mock_domain_replace.pt_id = *pt };
	int rc = rig_test(&cmd);

	*pt = cmd.mock_domain_replace.pt_id;
	return rc;
}

static int rig_pasid_op(u32 op, u32 stdev, u32 pasid, u32 *pt)
{
	struct iommu_test_cmd cmd = { .op = op, .id = stdev,
				      .pasid_attach = { .pasid = pasid, .pt_id = *pt } };
	int rc = rig_test(&cmd);

	*pt = cmd.pasid_attach.pt_id;
	return rc;
}

int rig_pasid_attach(u32 stdev, u32 pasid, u32 *pt)
{
	return rig_pasid_op(IOMMU_TEST_OP_PASID_ATTACH, stdev, pasid, pt);
}

int rig_pasid_replace(u32 stdev, u32 pasid, u32 *pt)
{
	return rig_pasid_op(IOMMU_TEST_OP_PASID_REPLACE, stdev, pasid, pt);
}

int rig_pasid_detach(u32 stdev, u32 pasid)
{
	u32 none = 0;

	return rig_pasid_op(IOMMU_TEST_OP_PASID_DETACH, stdev, pasid, &none);
}

int rig_pasid_check(u32 stdev, u32 pasid, u32 hwpt)
{
	return rig_pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, stdev, pasid, &hwpt);
}

int rig_check_map(u32 hwpt, u64 iova, u64 length, void *va)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MD_CHECK_MAP, .id = hwpt,
				      .check_map = { .iova = iova, .length = length,
						     .uptr = (uintptr_t)va } };

	return rig_test(&cmd);
}

int rig_check_refs(void *va, u64 length, u32 refs)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MD_CHECK_REFS,
				      .check_refs = { .length = length, .uptr = (uintptr_t)va,
						      .refs = refs } };

	return rig_test(&cmd);
}

/* ---- hwpts ---- */

int rig_hwpt_alloc(struct iommu_hwpt_alloc *cmd)
{
	cmd->size = sizeof(*cmd);
	return rig_ioctl(IOMMU_HWPT_ALLOC, cmd);
}

int rig_hwpt(u32 idev, u32 pt, u32 flags, u32 *ret_hwpt)
{
	struct iommu_hwpt_alloc cmd = { .flags = flags, .dev_id = idev, .pt_id = pt };
	int rc = rig_hwpt_alloc(&cmd);

	if (!rc)
		*ret_hwpt = cmd.out_hwpt_id;
	return rc;
}

int rig_hwpt_typed(u32 idev, u32 pt, u32 flags, u32 pagetable_type, u32 *ret_hwpt)
{
	const struct iommu_hwpt_selftest data = { .pagetable_type = pagetable_type };
	struct iommu_hwpt_alloc cmd = { .flags = flags, .dev_id = idev, .pt_id = pt,
					.data_type = IOMMU_HWPT_DATA_SELFTEST,
					.data_len = sizeof(data), .data_uptr = (uintptr_t)&data };
	int rc = rig_hwpt_alloc(&cmd);

	if (!rc)
		*ret_hwpt = cmd.out_hwpt_id;
	return rc;
}

/* ---- failure sweeps ---- */

#define SWEEP_MAX 1000

void rig_sweep(int (*sequence)(void))
{
	u32 n, left;
	int rc;

	for (n = 1; n < SWEEP_MAX; n++) {
		assert_int_equal(rig_begin(NULL), 0);
		iommufd_fail_nth_set(n);
		rc = sequence();
		left = iommufd_fail_nth_get();
		iommufd_fail_nth_set(0);
		assert_int_equal(rig_end(NULL), 0);
		if (left) {
			assert_int_equal(rc, 0); /* nothing failed, so all of it worked */
			print_message("%u fallible steps\n", n - 1);
			return;
		}
	}
	fail_msg("more than %d fallible steps", SWEEP_MAX);
}
