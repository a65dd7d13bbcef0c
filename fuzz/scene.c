/* SPDX-License-Identifier: MIT */
/*
 * A scene: the whole family of objects around one device, made in order and
 * without mistakes, so that random calls find something to act on that they
 * would rarely have built by themselves.  What a step makes goes to the tables
 * at once: others may already use or destroy it while the next step is made.
 */
#include <string.h>
#include <unistd.h>

#include "world.h"

/**
 * struct scene - ids so far
 * @cmd: the struct of the step, in scratch memory
 */
struct scene {
	struct caller *caller;
	struct world_ctx *ctx;
	u32 ioas, stdev, device, parent, viommu, fault, nested;
};

static int scene_call(struct scene *scene, const char *name, u32 cmd, void *arg)
{
	long rc;

	caller_begin(scene->caller, name);
	rc = iommufd_ioctl(scene->caller->world->proc, scene->ctx->fd, cmd, arg);
	caller_end(scene->caller);
	return rc < 0 ? (int)rc : 0;
}

static void scene_keep(struct scene *scene, enum kind kind, u32 id)
{
	world_put_id(scene->caller, scene->ctx, kind, id);
}

static int scene_ioas(struct scene *scene)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = scene_call(scene, "IOMMU_IOAS_ALLOC", IOMMU_IOAS_ALLOC, &cmd);

	if (rc)
		return rc;
	scene->ioas = cmd.out_ioas_id;
	scene_keep(scene, KIND_IOAS, scene->ioas);
	return 0;
}

static int scene_device(struct scene *scene)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = scene->ioas,
		.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_PASID,
	};
	int rc = scene_call(scene, "MOCK_DOMAIN_FLAGS", IOMMU_TEST_CMD, &cmd);

	if (rc)
		return rc;
	scene->stdev = cmd.mock_domain_flags.out_stdev_id;
	scene->device = cmd.mock_domain_flags.out_idev_id;
	scene_keep(scene, KIND_STDEV, scene->stdev);
	scene_keep(scene, KIND_DEVICE, scene->device);
	scene_keep(scene, KIND_HWPT, cmd.mock_domain_flags.out_hwpt_id);
	return 0;
}

/* May fail: the chunk may be gone. */
static int scene_map(struct scene *scene)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = scene->ioas,
		.length = CHUNK_SIZE,
		.iova = MOCK_APERTURE_START,
	};

	cmd.user_va = (uintptr_t)scene->caller->world->arena +
		      choice_below(&scene->caller->choice, CHUNKS) * CHUNK_SIZE;
	scene_call(scene, "IOMMU_IOAS_MAP", IOMMU_IOAS_MAP, &cmd);
	return 0;
}

static int scene_hwpt(struct scene *scene, u32 flags, u32 pt, u32 *ret_hwpt)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = scene->device,
		.pt_id = pt,
		.fault_id = scene->fault,
	};
	int rc;

	if (pt != scene->ioas) {
		cmd.data_type = IOMMU_HWPT_DATA_SELFTEST;
		cmd.data_len = sizeof(data);
		cmd.data_uptr = (uintptr_t)&data;
	}
	rc = scene_call(scene, "IOMMU_HWPT_ALLOC", IOMMU_HWPT_ALLOC, &cmd);
	if (rc)
		return rc;
	*ret_hwpt = cmd.out_hwpt_id;
	scene_keep(scene, KIND_HWPT, cmd.out_hwpt_id);
	return 0;
}

static int scene_fault(struct scene *scene)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int rc = scene_call(scene, "IOMMU_FAULT_QUEUE_ALLOC", IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (rc)
		return rc;
	scene->fault = cmd.out_fault_id;
	scene_keep(scene, KIND_FAULT, scene->fault);
	world_put_fd(scene->caller, FD_FAULT, (int)cmd.out_fault_fd);
	return 0;
}

static int scene_viommu(struct scene *scene)
{
	struct iommu_viommu_selftest data = { .in_data = 0x1234 };
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = scene->device,
		.hwpt_id = scene->parent,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};
	int rc = scene_call(scene, "IOMMU_VIOMMU_ALLOC", IOMMU_VIOMMU_ALLOC, &cmd);

	if (rc)
		return rc;
	scene->viommu = cmd.out_viommu_id;
	scene_keep(scene, KIND_VIOMMU, scene->viommu);
	scene->ctx->mmap_offset = data.out_mmap_offset;
	scene->ctx->mmap_length = data.out_mmap_length;
	return 0;
}

static int scene_vdevice(struct scene *scene)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = scene->viommu,
		.dev_id = scene->device,
		.virt_id = 1,
	};
	int rc = scene_call(scene, "IOMMU_VDEVICE_ALLOC", IOMMU_VDEVICE_ALLOC, &cmd);

	if (!rc)
		scene_keep(scene, KIND_VDEVICE, cmd.out_vdevice_id);
	return rc;
}

static int scene_veventq(struct scene *scene)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = scene->viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = 3,
	};
	int rc = scene_call(scene, "IOMMU_VEVENTQ_ALLOC", IOMMU_VEVENTQ_ALLOC, &cmd);

	if (rc)
		return rc;
	scene_keep(scene, KIND_VEVENTQ, cmd.out_veventq_id);
	world_put_fd(scene->caller, FD_VEVENTQ, (int)cmd.out_veventq_fd);
	return 0;
}

static int scene_attach(struct scene *scene, u32 pt)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = scene->stdev,
		.mock_domain_replace.pt_id = pt,
	};

	return scene_call(scene, "MOCK_DOMAIN_REPLACE", IOMMU_TEST_CMD, &cmd);
}

static int scene_access(struct scene *scene)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = scene->ioas,
		.create_access.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
	};
	int rc = scene_call(scene, "CREATE_ACCESS", IOMMU_TEST_CMD, &cmd);

	if (!rc)
		world_put_fd(scene->caller, FD_ACCESS, (int)cmd.create_access.out_access_fd);
	return rc;
}

bool scene_make(struct caller *caller)
{
	struct scene scene = { .caller = caller, .ctx = pick_ctx(caller) };
	int rc;

	rc = scene_ioas(&scene);
	if (!rc)
		rc = scene_device(&scene);
	if (!rc)
		rc = scene_map(&scene);
	if (!rc)
		rc = scene_access(&scene);
	if (!rc)
		rc = scene_hwpt(&scene, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
				scene.ioas, &scene.parent);
	if (!rc)
		rc = scene_fault(&scene);
	if (!rc)
		rc = scene_viommu(&scene);
	if (!rc)
		rc = scene_vdevice(&scene);
	if (!rc)
		rc = scene_veventq(&scene);
	if (!rc)
		rc = scene_hwpt(&scene, IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
				scene.viommu, &scene.nested);
	if (!rc)
		rc = scene_attach(&scene, scene.nested);
	return !rc;
}
