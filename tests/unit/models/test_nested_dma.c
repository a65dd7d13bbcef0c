/* SPDX-License-Identifier: MIT */
/*
 * DMA through a guest's tables: two stages, a table of PASIDs that is the guest's, and the
 * IOTLB as the guest's invalidations leave it.
 */
#include "machine.h"
#include "nest_iommu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Guest-physical addresses; @m.memory is behind the first LENGTH of them. */
#define PASID_TABLE 0x100000ULL
#define TABLES	    0x200000ULL
#define DATA	    0x800000ULL
#define HOLE	    (LENGTH + SZ_2M) /* nothing of the parent's is there */
#define READ_ONLY   (LENGTH + 2 * SZ_2M) /* a page that the parent lets be read only */

/* The guest's tables */
#define P  1ULL
#define RW 2ULL
#define US 4ULL
#define A  0x20ULL
#define D  0x40ULL
#define PS 0x80ULL
#define ALL (P | RW | US)

#define IOVA 0x7654321000ULL

static struct nest {
	struct nest_iommu iommu;
	struct device dev;
	struct iommufd_device *idev;
	u32 dev_id, parent, nested;
	u64 next; /* free page for a table */
} n;

/* ---- the guest ---- */

static u64 *word(u64 gpa)
{
	assert_true(gpa < LENGTH);
	return (u64 *)(m.memory + gpa);
}

static void put(u64 gpa, u64 value)
{
	__atomic_store_n(word(gpa), value, __ATOMIC_RELEASE);
}

static u64 get(u64 gpa)
{
	return __atomic_load_n(word(gpa), __ATOMIC_ACQUIRE);
}

static u64 table_new(void)
{
	u64 gpa = n.next;

	n.next += SZ_4K;
	assert_true(n.next < DATA);
	memset(m.memory + gpa, 0, SZ_4K);
	return gpa;
}

/* Where the entry is that translates @iova in tables from @root on. */
static u64 entry_at(u64 root, u64 iova, u32 level)
{
	u64 table = root;

	for (u32 at = 3;; at--) {
		u64 gpa = table + (iova >> (12 + 9 * at) & 511) * 8;

		if (at == level)
			return gpa;
		if (!(get(gpa) & P))
			put(gpa, table_new() | ALL);
		table = get(gpa) & NEST_ROOT;
	}
}

static void guest_map(u64 root, u64 iova, u64 gpa, u64 bits)
{
	put(entry_at(root, iova, 0), gpa | bits);
}

/* Tables for @pasid, 0 for none. */
static u64 guest_tables(u32 pasid, u32 tag)
{
	u64 root = table_new();

	put(PASID_TABLE + pasid * 8, NEST_ENTRY(root, tag));
	return root;
}

static void guest_invalidate(u64 tag, u64 first, u64 last)
{
	struct nest_invalidate inv = { .tag = tag, .first = first, .last = last };
	struct iommu_hwpt_invalidate cmd = { .size = sizeof(cmd), .hwpt_id = n.nested,
					     .data_uptr = (uintptr_t)&inv, .data_type = NEST_TYPE,
					     .entry_len = sizeof(inv), .entry_num = 1 };

	assert_int_equal(command(IOMMU_HWPT_INVALIDATE, &cmd), 0);
	assert_int_equal(cmd.entry_num, 1);
}

/* ---- the host ---- */

static u32 nested_alloc(void)
{
	const struct nest_hwpt_data data = { .table = PASID_TABLE };
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .dev_id = n.dev_id, .pt_id = n.parent,
					.flags = IOMMU_HWPT_ALLOC_PASID,
					.data_type = NEST_TYPE, .data_len = sizeof(data),
					.data_uptr = (uintptr_t)&data };

	assert_int_equal(command(IOMMU_HWPT_ALLOC, &cmd), 0);
	return cmd.out_hwpt_id;
}

static int nest_begin(void **state)
{
	struct iommu_hwpt_alloc parent = { .size = sizeof(parent), .pt_id = m.ioas,
					   .flags = IOMMU_HWPT_ALLOC_NEST_PARENT };

	if (machine_begin(state))
		return -1;
	nest_iommu_init(&n.iommu, m.system);
	if (nest_device_init(&n.iommu, &n.dev, "nested0"))
		return -1;
	n.idev = iommufd_device_bind(m.ctx, &n.dev, &n.dev_id);
	if (IS_ERR(n.idev))
		return -1;
	n.next = TABLES;
	parent.dev_id = n.dev_id;
	parent.pt_id = m.ioas;
	if (command(IOMMU_HWPT_ALLOC, &parent) || map(0, m.memory, LENGTH, MAP_RW) ||
	    map(READ_ONLY, m.memory + DATA, SZ_4K, IOMMU_IOAS_MAP_READABLE))
		return -1;
	n.parent = parent.out_hwpt_id;
	n.nested = nested_alloc();
	return iommufd_device_attach(n.idev, IOMMU_NO_PASID, &n.nested);
}

static int nest_end(void **state)
{
	iommufd_device_detach(n.idev, IOMMU_NO_PASID);
	iommufd_device_unbind(n.idev);
	iommu_release_device(&n.dev);
	return machine_end(state);
}

static __thread struct iommufd_dma_fault why;

static int dma_read(u32 pasid, u64 iova, u64 *ret)
{
	return iommufd_dma_read(&n.dev, pasid, iova, ret, 8, &why);
}

static int dma_write(u32 pasid, u64 iova, u64 value)
{
	return iommufd_dma_write(&n.dev, pasid, iova, &value, 8, &why);
}

static u64 must_read(u32 pasid, u64 iova)
{
	u64 value = ~0ULL;

	assert_int_equal(dma_read(pasid, iova, &value), 0);
	return value;
}

static void refused(u32 pasid, u64 iova, enum iommu_xlat_fault reason, bool stage2)
{
	u64 value;

	assert_int_equal(dma_read(pasid, iova, &value), iommufd_dma_errno(reason));
	assert_int_equal(why.reason, reason);
	assert_int_equal(why.stage2, stage2);
	assert_int_equal(why.iova, iova);
	assert_int_equal(why.pasid, pasid);
}

/* ---- translation ---- */

static void each_pasid_has_the_guests_tables_for_it(void **state)
{
	u64 rid = guest_tables(0, 1), five = guest_tables(5, 2);

	put(DATA, 100);
	put(DATA + SZ_4K, 105);
	guest_map(rid, IOVA, DATA, ALL);
	guest_map(five, IOVA, DATA + SZ_4K, ALL);
	assert_int_equal(must_read(0, IOVA), 100);
	assert_int_equal(must_read(5, IOVA), 105);
	assert_int_equal(dma_write(5, IOVA + 8, 7), 0);
	assert_int_equal(get(DATA + SZ_4K + 8), 7);
	refused(6, IOVA, IOMMU_XLAT_NOT_ATTACHED, false);
	refused(NEST_PASIDS, IOVA, IOMMU_XLAT_NOT_ATTACHED, false);
	/* marks are set in the guest's entries, by the rules of its tables */
	assert_int_equal(get(entry_at(five, IOVA, 0)) & (A | D), A | D);
	assert_int_equal(get(entry_at(rid, IOVA, 0)) & (A | D), A);
	assert_int_equal(get(entry_at(rid, IOVA, 3)) & (A | D), A);
}

static void large_pages_of_both_stages_meet(void **state)
{
	u64 root = guest_tables(0, 1);

	put(entry_at(root, 4 * SZ_2M, 1), DATA | ALL | PS);
	for (u64 off = 0; off < SZ_2M; off += 37 * SZ_4K + 8) {
		put(DATA + off, off);
		assert_int_equal(must_read(0, 4 * SZ_2M + off), off);
	}
	assert_int_equal(unmap(READ_ONLY, SZ_4K), 0);
	assert_int_equal(must_read(0, 4 * SZ_2M), 0);
}

static void both_stages_have_to_allow_it(void **state)
{
	u64 root = guest_tables(0, 1);

	guest_map(root, IOVA, DATA, P | US);
	guest_map(root, IOVA + SZ_4K, READ_ONLY, ALL);
	guest_map(root, IOVA + 2 * SZ_4K, DATA, P | RW); /* of the guest's kernel */
	must_read(0, IOVA);
	assert_int_equal(dma_write(0, IOVA, 1), -EACCES);
	assert_false(why.stage2);
	must_read(0, IOVA + SZ_4K);
	assert_int_equal(dma_write(0, IOVA + SZ_4K, 1), -EACCES);
	assert_true(why.stage2);
	refused(0, IOVA + 2 * SZ_4K, IOMMU_XLAT_PERMISSION, false);
}

static void faults_tell_whose_tables_they_are_of(void **state)
{
	u64 root = guest_tables(0, 1), read_only;

	guest_map(root, IOVA, DATA, ALL);
	refused(0, IOVA + SZ_4K, IOMMU_XLAT_NOT_PRESENT, false);
	refused(0, 1ULL << 50, IOMMU_XLAT_OUT_OF_RANGE, false);
	guest_map(root, IOVA + SZ_4K, HOLE, ALL);
	refused(0, IOVA + SZ_4K, IOMMU_XLAT_NOT_PRESENT, true);
	guest_map(root, IOVA + SZ_4K, 1ULL << 51, ALL);
	refused(0, IOVA + SZ_4K, IOMMU_XLAT_OUT_OF_RANGE, true);
	put(entry_at(root, IOVA + SZ_2M, 1), HOLE | ALL);
	refused(0, IOVA + SZ_2M, IOMMU_XLAT_NOT_PRESENT, true);
	/* reserved: not a multiple */
	put(entry_at(root, IOVA + SZ_2M, 1), DATA | SZ_4K | ALL | PS);
	put(entry_at(root, IOVA + SZ_2M, 1), DATA | 2 * SZ_4K | ALL | PS);
	refused(0, IOVA + SZ_2M, IOMMU_XLAT_BAD_ENTRY, false);
	/* a mark can not be set in a table that the parent does not let be written */
	read_only = DATA;
	put(read_only + (IOVA >> 12 & 511) * 8, (DATA + SZ_4K) | ALL);
	put(entry_at(root, IOVA + 2 * SZ_2M, 1), READ_ONLY | ALL);
	refused(0, IOVA + 2 * SZ_2M, IOMMU_XLAT_PERMISSION, true);
	/* the table of PASIDs is behind the parent, too */
	assert_int_equal(unmap(0, LENGTH), 0);
	refused(0, IOVA, IOMMU_XLAT_NOT_PRESENT, true);
}

static void hostile_tables_lead_to_a_fault_and_end(void **state)
{
	u64 root = guest_tables(0, 1);

	/* a table that is all of its own levels is also a page */
	put(entry_at(root, 0, 3), root | ALL);
	assert_int_equal(must_read(0, 0) & NEST_ROOT, root);
	put(PASID_TABLE, NEST_ENTRY(HOLE, 1));
	refused(0, 1 << 20, IOMMU_XLAT_NOT_PRESENT, true);
	put(PASID_TABLE, NEST_ENTRY(NEST_ROOT, 1));
	refused(0, 1 << 20, IOMMU_XLAT_OUT_OF_RANGE, true);
	put(PASID_TABLE, NEST_ENTRY(root, 1));
	put(entry_at(root, IOVA, 3), root | ALL | PS); /* no such page */
	refused(0, IOVA, IOMMU_XLAT_BAD_ENTRY, false);
	put(entry_at(root, IOVA, 3), ALL | 1ULL << 63); /* XD, which is not on */
	refused(0, IOVA, IOMMU_XLAT_BAD_ENTRY, false);
	assert_in_range(atomic_load(&n.iommu.most_loads), 1, 64);
}

/* ---- the IOTLB ---- */

static void a_guest_sees_its_old_tables_until_it_invalidates(void **state)
{
	u64 rid = guest_tables(0, 1), five = guest_tables(5, 2), six = guest_tables(6, 2);
	const u64 roots[] = { rid, five, six }, pasids[] = { 0, 5, 6 };

	for (u64 i = 0; i < 4; i++)
		put(DATA + i * SZ_4K, i);
	for (u32 i = 0; i < 3; i++) {
		for (u64 page = 0; page < 2; page++) {
			guest_map(roots[i], IOVA + page * SZ_4K, DATA + page * SZ_4K, ALL);
			assert_int_equal(must_read(pasids[i], IOVA + page * SZ_4K), page);
			guest_map(roots[i], IOVA + page * SZ_4K, DATA + (2 + page) * SZ_4K, ALL);
			assert_int_equal(must_read(pasids[i], IOVA + page * SZ_4K), page);
		}
	}
	guest_invalidate(2, IOVA + SZ_4K, IOVA + SZ_4K); /* one page of both PASIDs with this tag */
	assert_int_equal(must_read(0, IOVA), 0);
	assert_int_equal(must_read(0, IOVA + SZ_4K), 1);
	assert_int_equal(must_read(5, IOVA), 0);
	assert_int_equal(must_read(5, IOVA + SZ_4K), 3);
	assert_int_equal(must_read(6, IOVA), 0);
	assert_int_equal(must_read(6, IOVA + SZ_4K), 3);
	guest_invalidate(3, 0, UINT64_MAX); /* nobody's */
	guest_invalidate(3, 0, UINT64_MAX);
	assert_int_equal(must_read(5, IOVA), 0);
	guest_invalidate(1, 0, UINT64_MAX);
	assert_int_equal(must_read(0, IOVA), 2);
	assert_int_equal(must_read(0, IOVA + SZ_4K), 3);
	assert_int_equal(must_read(5, IOVA), 0);
	/* the driver's own ways: one PASID of a device, the whole domain */
	iommufd_iotlb_flush_pasid(&n.dev, 5);
	assert_int_equal(must_read(5, IOVA), 2);
	assert_int_equal(must_read(6, IOVA), 0);
	/* another tag is another guest's translation */
	put(PASID_TABLE + 6 * 8, NEST_ENTRY(six, 9));
	assert_int_equal(must_read(6, IOVA), 0);
	guest_map(six, IOVA + 2 * SZ_4K, DATA, ALL);
	must_read(6, IOVA + 2 * SZ_4K);
	assert_int_equal(must_read(6, IOVA), 2);
}

static void what_the_parent_loses_no_guest_has(void **state)
{
	u64 root = guest_tables(3, 1), value;

	assert_int_equal(unmap(0, LENGTH), 0);
	for (u64 gpa = 0; gpa < LENGTH; gpa += SZ_2M)
		assert_int_equal(map(gpa, m.memory + gpa, SZ_2M, MAP_RW), 0);
	guest_map(root, IOVA, DATA, ALL);
	guest_map(root, IOVA + SZ_4K, DATA + SZ_2M, ALL);
	must_read(3, IOVA);
	must_read(3, IOVA + SZ_4K);
	assert_int_equal(unmap(DATA, SZ_2M), 0);
	refused(3, IOVA, IOMMU_XLAT_NOT_PRESENT, true);
	must_read(3, IOVA + SZ_4K);
	assert_int_equal(map(DATA, m.memory + 5 * SZ_2M, SZ_2M, MAP_RW), 0); /* other memory */
	put(5 * SZ_2M, 77);
	assert_int_equal(must_read(3, IOVA), 77);
	assert_int_equal(unmap(TABLES, SZ_2M), 0);
	assert_int_equal(dma_read(3, IOVA + SZ_4K, &value), -EFAULT);
	assert_true(why.stage2);
}

static void a_pasid_is_the_hosts_while_it_is_attached(void **state)
{
	u64 root = guest_tables(5, 1), value;
	struct iommu_hwpt_alloc own = { .size = sizeof(own), .dev_id = n.dev_id, .pt_id = m.ioas,
					.flags = IOMMU_HWPT_ALLOC_PASID };
	u32 other;

	put(DATA, 1);
	guest_map(root, SZ_4K, DATA, ALL);
	put(SZ_4K, 3);
	assert_int_equal(must_read(5, SZ_4K), 1);
	assert_int_equal(command(IOMMU_HWPT_ALLOC, &own), 0);
	assert_int_equal(iommufd_device_attach(n.idev, 5, &own.out_hwpt_id), 0);
	assert_int_equal(must_read(5, SZ_4K), 3);
	iommufd_device_detach(n.idev, 5);
	assert_int_equal(must_read(5, SZ_4K), 1);
	/* another table of PASIDs for the RID is one for all of them */
	other = n.parent;
	assert_int_equal(iommufd_device_replace(n.idev, IOMMU_NO_PASID, &other), 0);
	assert_int_equal(dma_read(5, SZ_4K, &value), -ENODEV);
	assert_int_equal(must_read(0, SZ_4K), 3);
	assert_int_equal(iommufd_device_replace(n.idev, IOMMU_NO_PASID, &n.nested), 0);
	assert_int_equal(must_read(5, SZ_4K), 1);
	iommufd_device_detach(n.idev, IOMMU_NO_PASID);
	assert_int_equal(dma_read(5, SZ_4K, &value), -ENODEV);
	/* where guests have no such table, PASIDs are nobody's unless attached */
	n.iommu.ops.user_pasid_table = false;
	assert_int_equal(iommufd_device_attach(n.idev, IOMMU_NO_PASID, &n.nested), 0);
	assert_int_equal(dma_read(5, SZ_4K, &value), -ENODEV);
	assert_int_equal(iommufd_device_attach(n.idev, 5, &n.nested), 0);
	assert_int_equal(must_read(5, SZ_4K), 1);
	iommufd_device_detach(n.idev, 5);
}

static void what_devices_keep_is_invalidated_by_a_command_of_its_own(void **state)
{
	u64 root = guest_tables(5, 1), value;
	struct iommufd_ats_translation t;

	iommufd_ats_enable(&n.dev, NULL, NULL);
	guest_map(root, IOVA, DATA, ALL);
	put(DATA, 11);
	assert_int_equal(iommufd_ats_translate(&n.dev, 5, IOVA, R, &t, NULL), 0);
	assert_int_equal(iommufd_ats_read(&n.dev, t.pa, &value, 8, NULL), 0);
	assert_int_equal(value, 11);
	guest_invalidate(1, 0, UINT64_MAX);
	assert_int_equal(iommufd_ats_read(&n.dev, t.pa, &value, 8, NULL), 0);
	iommufd_ats_invalidate(&n.dev, 4, 0, UINT64_MAX);
	assert_int_equal(iommufd_ats_read(&n.dev, t.pa, &value, 8, NULL), 0);
	iommufd_ats_invalidate(&n.dev, 5, IOVA, IOVA);
	assert_int_equal(iommufd_ats_read(&n.dev, t.pa, &value, 8, NULL), -EACCES);
	/* the parent's unmap asks nobody */
	assert_int_equal(iommufd_ats_translate(&n.dev, 5, IOVA, R, &t, NULL), 0);
	assert_int_equal(unmap(0, LENGTH), 0);
	assert_int_equal(iommufd_ats_read(&n.dev, t.pa, &value, 8, NULL), -EACCES);
}

static void the_parents_bitmap_has_data_and_marks_in_tables(void **state)
{
	u64 bits[LENGTH / SZ_4K / 64] = { 0 }, want[LENGTH / SZ_4K / 64] = { 0 };
	u64 root = guest_tables(0, 1), touched[6];

	/* page by page, so that a mark is a page */
	assert_int_equal(unmap(0, LENGTH), 0);
	for (u64 gpa = 0; gpa < LENGTH; gpa += SZ_4K)
		assert_int_equal(map(gpa, m.memory + gpa, SZ_4K, MAP_RW), 0);
	guest_map(root, IOVA, DATA, ALL);
	guest_map(root, IOVA + SZ_4K, DATA + SZ_4K, ALL);
	must_read(0, IOVA + SZ_4K); /* the way there is marked accessed before */
	assert_int_equal(track(n.parent, true), 0);
	assert_int_equal(dma_write(0, IOVA, 1), 0);
	assert_int_equal(read_bitmap(n.parent, 0, LENGTH, SZ_4K, bits), 0);
	touched[0] = DATA;
	touched[1] = entry_at(root, IOVA, 0);
	for (u32 i = 0; i < 2; i++)
		want[touched[i] / SZ_4K / 64] |= 1ULL << touched[i] / SZ_4K % 64;
	assert_memory_equal(bits, want, sizeof(bits));
	memset(bits, 0, sizeof(bits));
	/* the guest's mark is there, the parent's gone */
	assert_int_equal(dma_write(0, IOVA, 2), 0);
	assert_int_equal(read_bitmap(n.parent, 0, LENGTH, SZ_4K, bits), 0);
	assert_true(bits[DATA / SZ_4K / 64] >> DATA / SZ_4K % 64 & 1);
}

/* ---- at the same time ---- */

static atomic_bool stop;
static _Atomic u64 published;

/* What was published before the request is not older when it arrives. */
static void *read_generations(void *arg)
{
	u32 pasid = *(u32 *)arg;

	while (!atomic_load(&stop)) {
		u64 least = atomic_load(&published);

		assert_true(must_read(pasid, IOVA) >= least);
	}
	return NULL;
}

static void after_an_invalidation_no_request_uses_the_old_tables(void **state)
{
	static u32 pasids[] = { 5, 5, 6 };
	pthread_t threads[3];
	u64 five = guest_tables(5, 1), six = guest_tables(6, 1);

	atomic_store(&stop, false);
	atomic_store(&published, 0);
	guest_map(five, IOVA, DATA, ALL);
	guest_map(six, IOVA, DATA, ALL);
	put(DATA, 0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_generations, &pasids[i]),
				 0);
	for (u64 generation = 1; generation < 500; generation++) {
		u64 page = DATA + generation * SZ_4K;

		put(page, generation);
		guest_map(five, IOVA, page, ALL);
		guest_map(six, IOVA, page, ALL);
		guest_invalidate(1, IOVA, IOVA + SZ_4K - 1);
		atomic_store(&published, generation);
	}
	atomic_store(&stop, true);
	for (u32 i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/* Found before anybody scribbles: a way that is scribbled over leads anywhere. */
struct scribble {
	u64 at[4];
	u64 root;
	u64 seed;
};

static void *scribble(void *arg)
{
	const struct scribble *s = arg;
	u64 seed = s->seed;

	while (!atomic_load(&stop)) {
		u32 level;
		u64 old;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		level = seed >> 60 & 3;
		old = get(s->at[level]);
		switch (seed >> 40 & 3) {
		case 0:
			put(s->at[level], seed >> 3);
			break;
		case 1:
			put(s->at[level], s->root | ALL);
			break;
		case 2:
			put(s->at[level], HOLE | ALL);
			break;
		default:
			put(s->at[level], old ^ (A | D));
		}
		put(s->at[level], old);
	}
	return NULL;
}

static void *dma_somehow(void *arg)
{
	u64 value;

	while (!atomic_load(&stop)) {
		int rc = dma_read(0, IOVA, &value);

		iommufd_dma_write(&n.dev, 0, IOVA, &value, 8, NULL);
		assert_true(!rc || rc == -EFAULT || rc == -EACCES || rc == -ERANGE ||
			    rc == -EBADMSG || rc == -ENXIO || rc == -EIO);
		iommufd_iotlb_flush_device(&n.dev);
	}
	return NULL;
}

static void *parent_comes_and_goes(void *arg)
{
	while (!atomic_load(&stop)) {
		unmap(DATA, SZ_2M);
		map(DATA, m.memory + DATA, SZ_2M, MAP_RW);
	}
	return NULL;
}

static void tables_that_change_during_the_walk_hurt_nobody(void **state)
{
	pthread_t threads[5];
	u64 root = guest_tables(0, 1);
	struct scribble one = { .root = root, .seed = 99 }, two = { .root = root, .seed = 7 };
	struct timespec ts = { .tv_nsec = 400000000 };

	assert_int_equal(unmap(0, LENGTH), 0);
	for (u64 gpa = 0; gpa < LENGTH; gpa += SZ_2M)
		assert_int_equal(map(gpa, m.memory + gpa, SZ_2M, MAP_RW), 0);
	guest_map(root, IOVA, DATA, ALL);
	for (u32 level = 0; level < 4; level++)
		one.at[level] = two.at[level] = entry_at(root, IOVA, level);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&threads[0], NULL, scribble, &one), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, scribble, &two), 0);
	assert_int_equal(pthread_create(&threads[2], NULL, dma_somehow, NULL), 0);
	assert_int_equal(pthread_create(&threads[3], NULL, dma_somehow, NULL), 0);
	assert_int_equal(pthread_create(&threads[4], NULL, parent_comes_and_goes, NULL), 0);
	nanosleep(&ts, NULL);
	atomic_store(&stop, true);
	for (u32 i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&n.iommu.most_loads) < 10000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, nest_begin, nest_end)
	const struct CMUnitTest tests[] = {
		TEST(each_pasid_has_the_guests_tables_for_it),
		TEST(large_pages_of_both_stages_meet),
		TEST(both_stages_have_to_allow_it),
		TEST(faults_tell_whose_tables_they_are_of),
		TEST(hostile_tables_lead_to_a_fault_and_end),
		TEST(a_guest_sees_its_old_tables_until_it_invalidates),
		TEST(what_the_parent_loses_no_guest_has),
		TEST(a_pasid_is_the_hosts_while_it_is_attached),
		TEST(what_devices_keep_is_invalidated_by_a_command_of_its_own),
		TEST(the_parents_bitmap_has_data_and_marks_in_tables),
		TEST(after_an_invalidation_no_request_uses_the_old_tables),
		TEST(tables_that_change_during_the_walk_hurt_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
