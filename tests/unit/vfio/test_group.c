/* SPDX-License-Identifier: MIT */
/* Groups, and both kinds of what they are put into. */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#define PG 4096UL

static int group_number(unsigned int toy)
{
	return pci_group_id(&rig.toys[toy]->pdev);
}

static int group_open(unsigned int toy)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number(toy));
	return rig_open(path);
}

static int container_open(void)
{
	int fd = rig_open("/dev/vfio/vfio");

	assert_true(fd >= 0);
	return fd;
}

static int set_container(int group, int container)
{
	return (int)rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static u32 status(int group)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };

	assert_int_equal(rig_ioctl(group, VFIO_GROUP_GET_STATUS, &st), 0);
	return st.flags;
}

static long set_iommu(int container, u64 type)
{
	return rig_ioctl(container, VFIO_SET_IOMMU, (void *)(uintptr_t)type);
}

static int device_fd(int group, const char *name)
{
	return (int)rig_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)name);
}

/* ---- opening ---- */

static void a_group_is_opened_once_and_not_beside_a_cdev(void **state)
{
	int cdev = rig_cdev(0), group = group_open(0);

	assert_true(group >= 0);
	assert_int_equal(group_open(0), -EBUSY);
	assert_int_equal(rig_bind(cdev, rig.iommu, NULL), -EBUSY);
	rig_close(group);
	assert_int_equal(rig_bind(cdev, rig.iommu, NULL), 0);
	assert_int_equal(group_open(0), -EBUSY);
	group = group_open(1);
	assert_true(group >= 0);
	rig_close(cdev);
	rig_close(group);
	group = group_open(0);
	assert_true(group >= 0);
	rig_close(group);
}

static void the_status_says_what_is_set(void **state)
{
	struct vfio_group_status st = { .argsz = 7 };
	int group = group_open(0), container = container_open(), foreign = rig_eventfd();

	assert_int_equal(rig_ioctl(group, VFIO_GROUP_GET_STATUS, &st), -EINVAL);
	assert_int_equal(status(group), VFIO_GROUP_FLAGS_VIABLE);
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_SET_CONTAINER, NULL), -EFAULT);
	assert_int_equal(set_container(group, -1), -EBADF);
	assert_int_equal(set_container(group, 9999), -EBADF);
	assert_int_equal(set_container(group, foreign), -EBADFD);
	assert_int_equal(set_container(group, group), -EBADFD);
	assert_int_equal(set_container(group, container), 0);
	assert_int_equal(status(group),
			 VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	assert_int_equal(set_container(group, container), -EINVAL);
	assert_int_equal(set_container(group, rig.iommu), -EINVAL);
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	assert_int_equal(status(group), VFIO_GROUP_FLAGS_VIABLE);
	assert_int_equal(rig_ioctl(group, 0x3b70, NULL), -ENOTTY);
	close(foreign);
}

/* As long as a page is one, and no longer. */
static void a_name_may_be_long(void **state)
{
	int group = group_open(0);
	char name[PG + 1];

	memset(name, 'x', sizeof(name));
	assert_int_equal(device_fd(group, name), -EINVAL);
	name[PG - 1] = 0;
	assert_int_equal(device_fd(group, name), -ENODEV);
	rig_close(group);
}

static void a_device_is_named_by_its_address(void **state)
{
	int group = group_open(0), container = container_open(), fd, second;

	assert_int_equal(device_fd(group, "0000:02:00.0"), -ENODEV);
	assert_int_equal(device_fd(group, "0000:01:00.0"), -EINVAL);
	assert_int_equal(set_container(group, container), 0);
	assert_int_equal(device_fd(group, "0000:01:00.0"), -EINVAL); /* no IOMMU yet */
	assert_int_equal(set_iommu(container, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(device_fd(group, "0000:01:00.0 rubbish"), -EINVAL);
	assert_int_equal(device_fd(group, "0000:01:00.0 "
					  "vf_token=00112233-4455-6677-8899-aabbccddeeff"),
			 -EINVAL);
	assert_int_equal(device_fd(group, "01:00.0"), -ENODEV);
	assert_int_equal(device_fd(group, "0000:01:00.0x"), -ENODEV);
	assert_int_equal(device_fd(group, "0000:02:00.0 rubbish"), -ENODEV);
	assert_int_equal(device_fd(group, "0000:01:00.0 vf_token=0011"), -EINVAL);
	/* Spaces say nothing. */
	fd = device_fd(group, "0000:01:00.0  ");
	assert_true(fd >= 0);
	assert_int_equal(rig_read(fd, TOY_ID, 4), TOY_MAGIC);
	/* Once more: the same open state. */
	second = device_fd(group, "0000:01:00.0");
	assert_true(second >= 0);
	rig_write(fd, TOY_SCRATCH, 5, 8);
	assert_int_equal(rig_read(second, TOY_SCRATCH, 8), 5);
	assert_int_equal(rig_bind(fd, rig.iommu, NULL), -EINVAL);
	assert_int_equal(rig_attach(fd, 1, NULL), -ENOTTY);
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EBUSY);
	rig_close(fd);
	assert_int_equal(rig_read(second, TOY_SCRATCH, 8), 5);
	rig_close(group); /* a device keeps it */
	assert_int_equal(group_open(0), -EBUSY);
	rig_close(second);
	group = group_open(0);
	assert_true(group >= 0);
}

/* ---- groups come and go while others are at work ---- */

static _Atomic bool stop;
static int busy_container;
static void *busy_memory;

/* Mappings of its own, without end. */
static void *maps(void *arg)
{
	const u64 iova = 0x100000 * (1 + (u64)(uintptr_t)arg);
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ,
					       .vaddr = (uintptr_t)busy_memory,
					       .iova = iova,
					       .size = PG};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = PG};

	while (!stop) {
		assert_int_equal(rig_ioctl(busy_container, VFIO_IOMMU_MAP_DMA, &map), 0);
		assert_int_equal(rig_ioctl(busy_container, VFIO_IOMMU_UNMAP_DMA, &unmap), 0);
	}
	return NULL;
}

/* Commands share the container; a group that comes or goes has it alone, and has its turn. */
static void who_maps_without_end_keeps_no_group_out(void **state)
{
	int first = group_open(0), second = group_open(1);
	pthread_t threads[6];

	busy_memory = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	busy_container = container_open();
	assert_int_equal(set_container(first, busy_container), 0);
	assert_int_equal(set_iommu(busy_container, VFIO_TYPE1v2_IOMMU), 0);
	stop = false;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, maps, (void *)(uintptr_t)i), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(set_container(second, busy_container), 0);
		assert_int_equal(rig_ioctl(second, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	}
	stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	rig_close(first);
	rig_close(second);
	rig_close(busy_container);
	munmap(busy_memory, PG);
}

/* ---- an iommufd in the container's place ---- */

static void an_iommufd_stands_for_a_container(void **state)
{
	struct iommu_vfio_ioas get = { .size = sizeof(get), .op = IOMMU_VFIO_IOAS_GET };
	u64 *va = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int group = group_open(0), fd;

	assert_int_equal(rig_ioctl(rig.iommu, IOMMU_VFIO_IOAS, &get), -ENODEV);
	assert_int_equal(set_container(group, rig.iommu), 0);
	assert_int_equal(rig_ioctl(rig.iommu, IOMMU_VFIO_IOAS, &get), 0);
	fd = device_fd(group, "0000:01:00.0");
	assert_true(fd >= 0);
	assert_int_equal(rig_map(get.ioas_id, va, PG, 0x10000), 0);
	rig_config_write(fd, 4, 6, 2);
	rig_write(fd, TOY_SCRATCH, 77, 8);
	rig_write(fd, TOY_DMA_ADDR, 0x10000, 8);
	rig_write(fd, TOY_DMA_GO, 1, 4);
	assert_int_equal(va[0], 77);
	/* The reference goes, even with the device open. */
	assert_int_equal(rig_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	rig_write(fd, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(fd, TOY_DMA_RC, 8), 0);
	/* But nobody opens it once more. */
	assert_int_equal(device_fd(group, "0000:01:00.0"), -EINVAL);
	rig_close(fd);
	rig_close(group);
	munmap(va, PG);
}

static int begin_compat(void **state)
{
	rig_kind = VFIO_CONTAINER_COMPAT;
	return rig_begin(state);
}

static void a_compat_container_is_an_iommufd(void **state)
{
	int group = group_open(1), container = container_open(), fd;

	assert_int_equal(rig_ioctl(container, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU), 1);
	assert_int_equal(set_iommu(container, VFIO_TYPE1v2_IOMMU), -ENODEV);
	assert_int_equal(set_container(group, container), 0);
	assert_int_equal(set_iommu(container, VFIO_TYPE1v2_IOMMU), 0);
	fd = device_fd(group, "0000:02:00.0");
	assert_true(fd >= 0);
	rig_close(fd);
	rig_close(group);
	rig_close(container);
}

/* ---- failures ---- */

static void every_failing_step_of_a_groups_way_leaves_nothing(void **state)
{
	bool failed = true;

	for (u32 nth = 1; failed; nth++) {
		int group = group_open(0), container = container_open(), fd = -1;
		long rc;

		iommufd_fail_nth_set(nth);
		rc = set_container(group, container);
		if (!rc)
			rc = set_iommu(container, VFIO_TYPE1v2_IOMMU);
		if (!rc)
			fd = device_fd(group, "0000:01:00.0");
		failed = !iommufd_fail_nth_get();
		iommufd_fail_nth_set(0);
		assert_true(failed || fd >= 0);
		if (fd >= 0)
			rig_close(fd);
		rig_close(group);
		rig_close(container);
		assert_true(nth < 1000);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_group_is_opened_once_and_not_beside_a_cdev),
		T(the_status_says_what_is_set),
		T(a_device_is_named_by_its_address),
		T(a_name_may_be_long),
		T(who_maps_without_end_keeps_no_group_out),
		T(an_iommufd_stands_for_a_container),
		cmocka_unit_test_setup_teardown(a_compat_container_is_an_iommufd, begin_compat,
						rig_end),
		T(every_failing_step_of_a_groups_way_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
