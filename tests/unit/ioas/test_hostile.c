/* SPDX-License-Identifier: MIT */
/*
 * A program that means harm: commands filled from a pool of the numbers that
 * break arithmetic.  Whatever they answer, the context stays sound, and its
 * end leaves nothing pinned.
 */
#include "harness.h"

#define ROUNDS (BED_SLOW ? 30000 : 200000)

struct attacker {
	struct bed *bed;
	u64 seed;
	u32 ids[8];
	int fd;
	int access[2];
};

static u64 number(struct attacker *a)
{
	static const u64 edges[] = {
		0, PAGE_SIZE, BED_IOVA, 1ULL << 31, 1ULL << 32, 1ULL << 52, 1ULL << 63, UINT64_MAX,
		UINT64_MAX - PAGE_SIZE, UINT64_MAX / 2,
	};
	static const u64 steps[] = { 0, 0, 0, 1, -1ULL, 2048, -2048ULL, PAGE_SIZE, -PAGE_SIZE };
	u64 edge = edges[random_below(&a->seed, ARRAY_SIZE(edges))];

	/* often somewhere near what is mapped, or little would ever be hit */
	if (random_below(&a->seed, 3))
		edge = BED_IOVA + random_below(&a->seed, 32) * PAGE_SIZE;
	return edge + steps[random_below(&a->seed, ARRAY_SIZE(steps))];
}

static u64 length(struct attacker *a)
{
	return random_below(&a->seed, 3) ? (1 + random_below(&a->seed, 16)) * 2048 : number(a);
}

/* Memory of ours or none at all; commands only ever write to the first. */
static u64 pointer(struct attacker *a)
{
	static const u64 bad[] = { 0, 8, UINT64_MAX, UINT64_MAX - PAGE_SIZE, 1ULL << 63 };

	if (!random_below(&a->seed, 4))
		return bad[random_below(&a->seed, ARRAY_SIZE(bad))];
	return (uintptr_t)a->bed->mem + random_below(&a->seed, BED_PAGES) * PAGE_SIZE +
	       (random_below(&a->seed, 2) ? 0 : random_below(&a->seed, PAGE_SIZE));
}

static u32 id(struct attacker *a)
{
	return random_below(&a->seed, 10) ? a->ids[random_below(&a->seed, ARRAY_SIZE(a->ids))] :
					    (u32)number(a);
}

static u32 flags(struct attacker *a)
{
	return random_below(&a->seed, 10) ? (FIXED | RW) & ~(u32)random_below(&a->seed, 3) :
					    (u32)random_next(&a->seed);
}

static void attack_memory(struct attacker *a)
{
	struct bed *bed = a->bed;
	u64 iova = number(a), dirty_length = length(a);
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .hwpt_id = id(a), .iova = number(a), .length = dirty_length,
		.page_size = 1ULL << random_below(&a->seed, 64), .data = pointer(a),
	};

	switch (random_below(&a->seed, 6)) {
	case 0:
		map_flags(bed, id(a), (void *)pointer(a), length(a), &iova, flags(a));
		break;
	case 1:
		map_file_flags(bed, id(a), random_below(&a->seed, 9) ? a->fd : bed->fd,
			       number(a) % BED_LENGTH, length(a), &iova, flags(a));
		break;
	case 2:
		copy_flags(bed, id(a), &iova, id(a), number(a), length(a), flags(a));
		break;
	case 3:
		unmap(bed, id(a), iova, length(a));
		break;
	case 4:
		if (!random_below(&a->seed, 20))
			unmap_all(bed, id(a));
		break;
	default:
		bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
	}
}

static void attack_container(struct attacker *a)
{
	struct bed *bed = a->bed;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .vaddr = pointer(a), .iova = number(a),
		.size = length(a),
	};
	struct vfio_iommu_type1_dma_unmap unmap_cmd = {
		.argsz = sizeof(unmap_cmd), .iova = number(a), .size = length(a),
	};

	switch (random_below(&a->seed, 5)) {
	case 0:
		bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &map);
		break;
	case 1 ... 2:
		bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &unmap_cmd);
		break;
	case 3:
		*(u32 *)bed->mem = (u32)random_below(&a->seed, 200);
		bed_ioctl(bed, VFIO_IOMMU_GET_INFO, bed->mem);
		break;
	default:
		compat_set(bed, id(a));
	}
}

static void attack_shape(struct attacker *a)
{
	struct bed *bed = a->bed;
	struct iommu_iova_range ranges[3];
	struct device_ids ids;
	u32 n = (u32)random_below(&a->seed, 4);

	for (u32 i = 0; i < n && i < 3; i++)
		ranges[i] = (struct iommu_iova_range){ number(a), number(a) };
	switch (random_below(&a->seed, 8)) {
	case 0:
		allow_iovas(bed, id(a), random_below(&a->seed, 4) ? ranges : (void *)pointer(a),
			    n > 3 ? 3 : n);
		break;
	case 1:
		allow_iovas(bed, id(a), NULL, 0);
		break;
	case 2:
		if (!random_below(&a->seed, 30))
			add_reserved(bed, id(a), number(a), length(a));
		break;
	case 3:
		option_huge_set(bed, id(a), random_below(&a->seed, 3));
		break;
	case 4:
		if (!device_new(bed, id(a), &ids))
			a->ids[random_below(&a->seed, 4)] = ids.stdev, a->ids[7] = ids.hwpt;
		break;
	case 5:
		object_kill(bed, id(a));
		break;
	default:
		if (random_below(&a->seed, 2))
			a->ids[4 + random_below(&a->seed, 3)] = (u32)ioas_new(bed);
	}
}

static void attack_access(struct attacker *a)
{
	struct bed *bed = a->bed;
	int *access = &a->access[random_below(&a->seed, 2)];

	switch (random_below(&a->seed, 6)) {
	case 0 ... 1:
		access_pin(bed, *access, number(a), length(a), NULL, random_below(&a->seed, 2));
		break;
	case 2:
		access_unpin(bed, *access, (u32)random_below(&a->seed, 50));
		break;
	case 3:
		/* reads only: an area may show any address of this process */
		access_rw(bed, *access, number(a), bed->mem, random_below(&a->seed, 3 * PAGE_SIZE),
			  random_below(&a->seed, 2) ? MOCK_ACCESS_RW_SLOW_PATH : 0);
		break;
	case 4:
		access_move(bed, *access, id(a));
		break;
	default:
		if (random_below(&a->seed, 20))
			break;
		iommufd_close(bed->proc, *access);
		*access = (int)access_new(bed, id(a), (u32)random_below(&a->seed, 2));
	}
}

static void a_hostile_program_breaks_nothing(void **state)
{
	struct bed *bed = *state;
	struct attacker a = {
		.bed = bed, .seed = 4711, .fd = memfd_of(BED_PAGES, 0), .access = { -1, -1 }
	};

	for (u32 i = 0; i < ARRAY_SIZE(a.ids); i++)
		a.ids[i] = bed->ioas;
	for (u32 i = 0; i < ROUNDS; i++) {
		switch (random_below(&a.seed, 8)) {
		case 0 ... 3:
			attack_memory(&a);
			break;
		case 4:
			attack_container(&a);
			break;
		case 5:
			attack_shape(&a);
			break;
		default:
			attack_access(&a);
		}
		if (i % 64 == 0)
			assert_sound(bed);
	}
	for (u32 i = 0; i < 2; i++)
		if (a.access[i] >= 0)
			assert_int_equal(iommufd_close(bed->proc, a.access[i]), 0);
	close(a.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(a_hostile_program_breaks_nothing),
		bed_test_scattered(a_hostile_program_breaks_nothing),
		bed_test_trusted(a_hostile_program_breaks_nothing),
	};

	return cmocka_run_group_tests_name("ioas_hostile", tests, NULL, NULL);
}
