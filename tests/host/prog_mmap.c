/* SPDX-License-Identifier: MIT */
/*
 * Registers of an IOMMU mapped by programs: the mapping is real memory shared
 * with the driver, and whoever maps it, in whatever process, keeps its owner.
 */
#include "prog.h"

struct rig {
	int fd;
	uint32_t viommu;
	uint64_t offset, length;
};

static uint32_t nest_parent(int fd, uint32_t idev, uint32_t ioas)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd),
					.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
					.dev_id = idev,
					.pt_id = ioas };

	CHECK(ioctl(fd, IOMMU_HWPT_ALLOC, &cmd) == 0);
	return cmd.out_hwpt_id;
}

static struct rig rig_open(uint32_t in_data)
{
	struct rig rig = { .fd = open_iommu() };
	struct iommu_test_cmd dev = { .size = sizeof(dev), .op = IOMMU_TEST_OP_MOCK_DOMAIN };
	struct iommu_viommu_selftest data = { .in_data = in_data };
	struct iommu_viommu_alloc cmd = { .size = sizeof(cmd),
					  .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					  .data_len = sizeof(data),
					  .data_uptr = (uintptr_t)&data };
	uint32_t ioas = ioas_alloc(rig.fd);

	dev.id = ioas;
	CHECK(ioctl(rig.fd, IOMMU_TEST_CMD, &dev) == 0);
	cmd.dev_id = dev.mock_domain.out_idev_id;
	cmd.hwpt_id = nest_parent(rig.fd, cmd.dev_id, ioas);
	CHECK(ioctl(rig.fd, IOMMU_VIOMMU_ALLOC, &cmd) == 0);
	CHECK(data.out_data == in_data);
	rig.viommu = cmd.out_viommu_id;
	rig.offset = data.out_mmap_offset;
	rig.length = data.out_mmap_length;
	return rig;
}

static uint32_t *map(const struct rig *rig)
{
	uint32_t *p = mmap(NULL, rig->length, PROT_READ | PROT_WRITE, MAP_SHARED, rig->fd,
			   (off_t)rig->offset);

	CHECK(p != MAP_FAILED);
	return p;
}

static void refuses(const struct rig *rig, uint64_t length, int prot, int flags, uint64_t offset,
		    int err)
{
	errno = 0;
	CHECK(mmap(NULL, length, prot, flags, rig->fd, (off_t)offset) == MAP_FAILED);
	CHECK(errno == err);
}

static void only_the_exact_region_can_be_mapped(void)
{
	struct rig rig = rig_open(1);

	refuses(&rig, rig.length, PROT_READ, MAP_PRIVATE, rig.offset, EINVAL);
	refuses(&rig, rig.length, PROT_READ | PROT_EXEC, MAP_SHARED, rig.offset, EPERM);
	refuses(&rig, rig.length / 2, PROT_READ, MAP_SHARED, rig.offset, ENXIO);
	refuses(&rig, 2 * rig.length, PROT_READ, MAP_SHARED, rig.offset, ENXIO);
	refuses(&rig, rig.length, PROT_READ, MAP_SHARED, rig.offset + 4096, ENXIO);
	refuses(&rig, rig.length, PROT_READ, MAP_SHARED, 0, ENXIO);
	CHECK(destroy(rig.fd, rig.viommu) == 0);
	refuses(&rig, rig.length, PROT_READ, MAP_SHARED, rig.offset, ENXIO);
	close(rig.fd);
}

static void what_no_file_can_give_is_refused_first(void)
{
	struct rig rig = rig_open(1);
	int fd = open("/dev/iommu", O_RDONLY);

	refuses(&rig, 0, PROT_READ, MAP_SHARED, rig.offset + 4096, EINVAL);
	refuses(&rig, 0, PROT_READ | PROT_EXEC, MAP_SHARED, rig.offset, EINVAL);
	refuses(&rig, UINT64_MAX, PROT_READ, MAP_SHARED, rig.offset, ENOMEM);
	CHECK(destroy(rig.fd, rig.viommu) == 0);
	close(rig.fd);
	rig.fd = fd;
	refuses(&rig, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 0, EACCES);
	refuses(&rig, 4096, PROT_READ, MAP_SHARED, 0, EINVAL);
	close(fd);
}

static void the_driver_and_the_program_see_the_same_bytes(void)
{
	struct rig rig = rig_open(0xc0ffee);
	uint32_t *a = map(&rig), *b = map(&rig);

	CHECK(*a == 0xc0ffee);
	*a = 7;
	CHECK(*b == 7);
	CHECK_ERRNO(EBUSY, destroy(rig.fd, rig.viommu));
	CHECK(munmap(a, rig.length) == 0);
	CHECK_ERRNO(EBUSY, destroy(rig.fd, rig.viommu));
	/* a part of it is enough */
	CHECK(munmap(b, 4096) == 0);
	CHECK_ERRNO(EBUSY, destroy(rig.fd, rig.viommu));
	CHECK(munmap((char *)b + 4096, rig.length - 4096) == 0);
	CHECK(destroy(rig.fd, rig.viommu) == 0);
	close(rig.fd);
}

static void a_childs_mapping_counts_until_it_exits(void)
{
	struct rig rig = rig_open(3);
	uint32_t *p = map(&rig);
	int go[2], status;
	pid_t child;
	char c;

	CHECK(pipe(go) == 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(go[1]);
		CHECK(read(go[0], &c, 1) == 0);
		_exit(*p == 3 ? 0 : 1);
	}
	close(go[0]);
	CHECK(munmap(p, rig.length) == 0);
	CHECK_ERRNO(EBUSY, destroy(rig.fd, rig.viommu));
	close(go[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(destroy(rig.fd, rig.viommu) == 0);
	close(rig.fd);
}

static void a_mapping_keeps_a_closed_context(void)
{
	struct rig rig = rig_open(9);
	uint32_t *p = map(&rig);

	close(rig.fd);
	CHECK(*p == 9);
	*p = 10;
	CHECK(*p == 10);
	CHECK(munmap(p, rig.length) == 0);
}

static void the_program_cannot_shrink_it_away(void)
{
	struct rig rig = rig_open(4);
	uint32_t *p = map(&rig);

	CHECK(ftruncate(rig.fd, 0) == -1);
	CHECK(*p == 4);
	munmap(p, rig.length);
	close(rig.fd);
}

int main(void)
{
	only_the_exact_region_can_be_mapped();
	what_no_file_can_give_is_refused_first();
	the_driver_and_the_program_see_the_same_bytes();
	a_childs_mapping_counts_until_it_exits();
	a_mapping_keeps_a_closed_context();
	the_program_cannot_shrink_it_away();
	return 0;
}
