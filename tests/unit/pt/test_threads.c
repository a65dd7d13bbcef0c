/* SPDX-License-Identifier: MIT */
/*
 * What may run together does: mappers of disjoint ranges in the same tables,
 * walkers and devices beside them, a collector of dirty marks, and devices in the
 * very entries that are being cut and joined.
 *
 * A readers-writer lock around each walk stands for the grace period an owner
 * has: who frees tables takes it for writing once, after unmapping.
 */
#include <pthread.h>
#include <sched.h>

#include "pt_fixture.h"

/* two tables of level 0 on each side of a boundary of level 2 */
#define BASE_IOVA (SZ_1G - 2 * SZ_2M)
#define SPAN	  (4 * SZ_2M)
#define PA_SHIFT  0x40000000ULL
#define ROUNDS	  200

struct shared {
	struct pt_table pt;
	struct arena *arena;
	struct rwlock grace;
	pthread_barrier_t start;
	_Atomic bool stop;
	bool reported[SPAN / SZ_4K];
};

struct worker {
	struct shared *s;
	unsigned number;
	pthread_t thread;
};

static u64 rnd(u64 *seed, u64 below)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*seed >> 33) % below;
}

static void unmap_and_flush(struct shared *s, u64 iova, u64 len)
{
	struct pt_gather gather;

	pt_gather_init(&gather);
	assert_true(s->pt.ops->unmap_range(&s->pt, iova, len, &gather) == len);
	if (pt_gather_empty(&gather))
		return;
	write_lock(&s->grace);
	write_unlock(&s->grace);
	pt_gather_free(&gather);
}

static void map_checked(struct shared *s, u64 iova, u64 len)
{
	u64 mapped;

	assert_int_equal(s->pt.ops->map_range(&s->pt, iova, iova + PA_SHIFT, len, RW, &mapped), 0);
	assert_true(mapped == len);
}

/* Even and odd 16 KiB of every table; then whole tables, so that they come and go. */
static void *mapper(void *arg)
{
	struct worker *w = arg;
	u64 iova, step = 0x4000;
	unsigned round;

	pthread_barrier_wait(&w->s->start);
	for (round = 0; round < ROUNDS; round++) {
		for (iova = w->number * step; iova < SPAN; iova += 2 * step)
			map_checked(w->s, BASE_IOVA + iova, step);
		for (iova = w->number * step; iova < SPAN; iova += 2 * step)
			unmap_and_flush(w->s, BASE_IOVA + iova, step);
		/* a region of our own, next to which the other mapper has his */
		iova = BASE_IOVA + (w->number + 1) * 4 * SZ_1G;
		map_checked(w->s, iova + SZ_4K, SPAN - 2 * SZ_4K);
		unmap_and_flush(w->s, iova + SZ_4K, SPAN - 2 * SZ_4K);
		map_checked(w->s, iova, SPAN);
		unmap_and_flush(w->s, iova, SPAN);
	}
	return NULL;
}

static void *walker(void *arg)
{
	struct worker *w = arg;
	u64 seed = w->number, iova, pa, run;
	struct pt_walk walk;
	int rc;

	pthread_barrier_wait(&w->s->start);
	while (!atomic_load(&w->s->stop)) {
		iova = BASE_IOVA + rnd(&seed, 3) * 4 * SZ_1G + rnd(&seed, SPAN);
		read_lock(&w->s->grace);
		if (!w->s->pt.ops->iova_to_phys(&w->s->pt, iova, &pa, &run))
			assert_true(pa == iova + PA_SHIFT && run);
		if (!w->s->pt.ops->walk(&w->s->pt, iova, &walk))
			assert_true(walk.pa == iova + PA_SHIFT && walk.prot == RW);
		rc = w->s->pt.ops->set_dirty(&w->s->pt, iova);
		assert_true(!rc || rc == -ENOENT);
		read_unlock(&w->s->grace);
	}
	return NULL;
}

static void shared_begin_as(struct shared *s, pt_init_fn init, struct pt_cfg cfg, unsigned threads)
{
	memset(s, 0, sizeof(*s));
	rwlock_init(&s->grace);
	pthread_barrier_init(&s->start, NULL, threads);
	cfg.features |= PT_FEAT_DIRTY;
	s->arena = pt_begin(&s->pt, init, cfg);
}

static void shared_begin(struct shared *s, struct pt_cfg cfg, unsigned threads)
{
	shared_begin_as(s, pt_amdv1_init, cfg, threads);
}

static void shared_end(struct shared *s)
{
	pt_end(&s->pt, s->arena);
	pthread_barrier_destroy(&s->start);
	rwlock_destroy(&s->grace);
}

static void start(struct shared *s, struct worker *w, unsigned number, void *(*fn)(void *))
{
	w->s = s;
	w->number = number;
	assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
}

static int count_entry(void *ctx, u64 iova, u64 pa, u64 len, unsigned prot, bool dirty)
{
	assert_int_equal(pa, iova + PA_SHIFT);
	*(u64 *)ctx += len;
	return 0;
}

static void mappers_share_tables_while_devices_walk(void **state)
{
	static const struct pt_cfg cfgs[] = {
		{ .max_va_lg2 = 48 },
		{ .max_va_lg2 = 48, .pgsize_mask = SZ_4K },
		{ .features = PT_FEAT_DYNAMIC_TOP, .top_level = 1 },
	};
	struct worker w[3];
	struct shared s;
	u64 mapped;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cfgs); i++) {
		shared_begin(&s, cfgs[i], 3);
		start(&s, &w[0], 0, mapper);
		start(&s, &w[1], 1, mapper);
		start(&s, &w[2], 2, walker);
		pthread_join(w[0].thread, NULL);
		pthread_join(w[1].thread, NULL);
		atomic_store(&s.stop, true);
		pthread_join(w[2].thread, NULL);
		assert_sound(&s.pt);
		mapped = 0;
		s.pt.ops->dump(&s.pt, count_entry, &mapped);
		assert_int_equal(mapped, 0);
		shared_end(&s);
	}
}

/* Every other page each, in tables nobody has installed yet. */
static void *installer(void *arg)
{
	struct worker *w = arg;
	u64 iova;

	pthread_barrier_wait(&w->s->start);
	for (iova = w->number * SZ_4K; iova < 16 * SZ_2M; iova += 64 * SZ_4K)
		map_checked(w->s, (1ULL << 48) - 8 * SZ_2M + iova, SZ_4K);
	return NULL;
}

static void two_mappers_install_the_same_tables(void **state)
{
	struct worker w[2];
	struct shared s;
	unsigned round;
	u64 mapped;

	for (round = 0; round < 100; round++) {
		shared_begin(&s, (struct pt_cfg){ .features = round & 1 ? PT_FEAT_DYNAMIC_TOP : 0 },
			     2);
		start(&s, &w[0], 0, installer);
		start(&s, &w[1], 1, installer);
		pthread_join(w[0].thread, NULL);
		pthread_join(w[1].thread, NULL);
		assert_sound(&s.pt);
		mapped = 0;
		s.pt.ops->dump(&s.pt, count_entry, &mapped);
		assert_int_equal(mapped, 2 * 16 * SZ_2M / 64);
		shared_end(&s);
	}
}

static void *dirtier(void *arg)
{
	struct worker *w = arg;
	u64 iova;
	unsigned round;

	pthread_barrier_wait(&w->s->start);
	for (round = 0; round < 20; round++)
		for (iova = 0; iova < SPAN; iova += SZ_4K)
			assert_int_equal(w->s->pt.ops->set_dirty(&w->s->pt, BASE_IOVA + iova), 0);
	return NULL;
}

static void report(void *ctx, u64 iova, u64 len)
{
	struct shared *s = ctx;
	u64 at;

	for (at = iova; at < iova + len; at += SZ_4K)
		s->reported[(at - BASE_IOVA) / SZ_4K] = true;
}

static void *collector(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	u64 seed = 7, first, len;

	pthread_barrier_wait(&s->start);
	while (!atomic_load(&s->stop)) {
		first = rnd(&seed, 2) ? 0 : ALIGN_DOWN(rnd(&seed, SPAN), SZ_4K);
		len = first ? SZ_4K + rnd(&seed, SPAN - first) : SPAN;
		len = MIN(ALIGN_DOWN(len, SZ_4K), SPAN - first);
		assert_int_equal(s->pt.ops->read_and_clear_dirty(&s->pt, BASE_IOVA + first, len, 0,
								 report, s), 0);
	}
	return NULL;
}

/* However setters and collector interleave, a page written is reported sooner or later. */
static void no_mark_is_lost_between_setters_and_a_collector(void **state)
{
	struct worker w[3];
	struct shared s;
	unsigned round, i;

	for (round = 0; round < 10; round++) {
		shared_begin(&s, (struct pt_cfg){ .max_va_lg2 = 48, .pgsize_mask = SZ_4K }, 3);
		map_checked(&s, BASE_IOVA, SPAN);
		start(&s, &w[0], 0, dirtier);
		start(&s, &w[1], 1, dirtier);
		start(&s, &w[2], 2, collector);
		pthread_join(w[0].thread, NULL);
		pthread_join(w[1].thread, NULL);
		atomic_store(&s.stop, true);
		pthread_join(w[2].thread, NULL);
		assert_sound(&s.pt);
		assert_int_equal(s.pt.ops->read_and_clear_dirty(&s.pt, 0, 4 * SZ_1G, 0, report, &s),
				 0);
		for (i = 0; i < ARRAY_SIZE(s.reported); i++)
			assert_true(s.reported[i]);
		shared_end(&s);
	}
}

/* A mark set on a path that just got one more level on top is seen from there. */
static void no_mark_is_lost_while_the_top_grows(void **state)
{
	static const u64 far[] = { 1ULL << 39, 1ULL << 48, 1ULL << 57 };
	struct worker w[2];
	struct shared s;
	unsigned round, i;
	u64 mapped;

	for (round = 0; round < 40; round++) {
		shared_begin(&s, (struct pt_cfg){ .features = PT_FEAT_DYNAMIC_TOP }, 3);
		map_checked(&s, BASE_IOVA, SPAN);
		start(&s, &w[0], 0, dirtier);
		start(&s, &w[1], 1, dirtier);
		pthread_barrier_wait(&s.start);
		for (i = 0; i < ARRAY_SIZE(far); i++) {
			assert_int_equal(s.pt.ops->map_range(&s.pt, far[i], 0, SZ_4K, RW, &mapped),
					 0);
			assert_int_equal(s.pt.ops->read_and_clear_dirty(&s.pt, 0, 4 * SZ_1G, 0,
									report, &s), 0);
		}
		pthread_join(w[0].thread, NULL);
		pthread_join(w[1].thread, NULL);
		assert_sound(&s.pt);
		assert_int_equal(s.pt.ops->read_and_clear_dirty(&s.pt, 0, 4 * SZ_1G, 0, report, &s),
				 0);
		for (i = 0; i < ARRAY_SIZE(s.reported); i++)
			assert_true(s.reported[i]);
		shared_end(&s);
	}
}

/* ---- cutting and joining under devices ---- */

#define HUGE_IOVA  (4 * SZ_1G)
#define HUGE_PAGES 512u /* devices write to that many pages of the huge entry, far apart */

static u64 huge_page(u64 i)
{
	return HUGE_IOVA + i * (SZ_2M + SZ_64K) % SZ_1G;
}

static void collapse_and_flush(struct shared *s, u64 iova, u64 len)
{
	struct pt_gather gather;

	pt_gather_init(&gather);
	assert_int_equal(s->pt.ops->collapse(&s->pt, iova, len, 0, &gather), 0);
	if (pt_gather_empty(&gather))
		return;
	write_lock(&s->grace);
	write_unlock(&s->grace);
	pt_gather_free(&gather);
}

/* Two large entries fully, one huge entry here and there. */
static void *cutter(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	unsigned small = __builtin_ctzll(s->pt.pgsize_bitmap), round;

	pthread_barrier_wait(&s->start);
	for (round = 0; round < 40; round++) {
		assert_int_equal(s->pt.ops->cut(&s->pt, BASE_IOVA, SPAN, small), 0);
		assert_int_equal(s->pt.ops->cut(&s->pt, huge_page(round * 7), SZ_64K, small), 0);
		assert_int_equal(s->pt.ops->cut(&s->pt, huge_page(round * 9 + 1), SZ_64K, 21), 0);
		collapse_and_flush(s, BASE_IOVA, SPAN);
		collapse_and_flush(s, HUGE_IOVA, SZ_1G);
	}
	return NULL;
}

/* Never meets a hole, whatever the entry just is; and remembers all it wrote. */
static void *device(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	u64 seed = w->number, iova, pa, run;
	struct pt_walk walk;

	pthread_barrier_wait(&s->start);
	while (!atomic_load(&s->stop)) {
		iova = rnd(&seed, 2) ? BASE_IOVA + rnd(&seed, SPAN) :
				       huge_page(rnd(&seed, HUGE_PAGES)) + rnd(&seed, SZ_4K);
		read_lock(&s->grace);
		assert_int_equal(s->pt.ops->iova_to_phys(&s->pt, iova, &pa, &run), 0);
		assert_true(pa == iova + PA_SHIFT && run);
		assert_int_equal(s->pt.ops->walk(&s->pt, iova, &walk), 0);
		assert_true(walk.pa == iova + PA_SHIFT && (walk.prot & RW) == RW);
		if (w->number)
			assert_int_equal(s->pt.ops->set_dirty(&s->pt, iova), 0);
		read_unlock(&s->grace);
	}
	return NULL;
}

/* Writes each page once, then says so: every one of them must be found. */
static void *writer(void *arg)
{
	struct worker *w = arg;
	struct shared *s = w->s;
	u64 i;

	pthread_barrier_wait(&s->start);
	for (i = 0; i < SPAN / SZ_4K; i++) {
		read_lock(&s->grace);
		assert_int_equal(s->pt.ops->set_dirty(&s->pt, BASE_IOVA + i * SZ_4K), 0);
		assert_int_equal(s->pt.ops->set_dirty(&s->pt, huge_page(i) + 5), 0);
		read_unlock(&s->grace);
	}
	return NULL;
}

static void large_begin(struct shared *s, pt_init_fn init, unsigned threads)
{
	shared_begin_as(s, init, (struct pt_cfg){ .max_va_lg2 = 48 }, threads);
	map_checked(s, BASE_IOVA, SPAN);
	map_checked(s, HUGE_IOVA, SZ_1G);
}

static const pt_init_fn cut_formats[] = { pt_amdv1_init,     pt_x86_64_init,
					  pt_vtdss_init,     pt_riscv_init,
					  pt_lpae_s1_4k_init, pt_lpae_s2_64k_init };

static void devices_use_entries_that_are_cut_and_joined(void **state)
{
	struct worker w[3];
	struct shared s;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(cut_formats); i++) {
		large_begin(&s, cut_formats[i], 3);
		start(&s, &w[0], 0, cutter);
		start(&s, &w[1], 0, device);
		start(&s, &w[2], 1, device);
		pthread_join(w[0].thread, NULL);
		atomic_store(&s.stop, true);
		pthread_join(w[1].thread, NULL);
		pthread_join(w[2].thread, NULL);
		assert_sound(&s.pt);
		shared_end(&s);
	}
}

struct found {
	struct shared *s;
	u64 total;
};

static void find(void *ctx, u64 iova, u64 len)
{
	struct found *found = ctx;
	u64 at;

	found->total += len;
	for (at = MAX(iova, BASE_IOVA); at < MIN(iova + len, BASE_IOVA + SPAN); at += SZ_4K)
		found->s->reported[(at - BASE_IOVA) / SZ_4K] = true;
}

static void no_mark_is_lost_to_a_cut_or_a_join(void **state)
{
	struct worker w[2];
	struct shared s;
	struct found found = { .s = &s };
	unsigned i, round;
	u64 page;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < ARRAY_SIZE(cut_formats); i++) {
			large_begin(&s, cut_formats[i], 2);
			start(&s, &w[0], 0, cutter);
			start(&s, &w[1], 0, writer);
			pthread_join(w[0].thread, NULL);
			pthread_join(w[1].thread, NULL);
			assert_sound(&s.pt);
			for (page = 0; page < SPAN / SZ_4K; page++) {
				found.total = 0;
				s.pt.ops->read_and_clear_dirty(&s.pt, huge_page(page), 1,
							       PT_DIRTY_NO_CLEAR, find, &found);
				assert_true(found.total);
			}
			s.pt.ops->read_and_clear_dirty(&s.pt, BASE_IOVA, SPAN, 0, find, &found);
			for (page = 0; page < ARRAY_SIZE(s.reported); page++)
				assert_true(s.reported[page]);
			shared_end(&s);
		}
	}
}

/* One write to each large entry in a pass, while it is cut and joined once. */
#define PASSES 300u
#define MOST_CUTS 200u

struct passes {
	struct shared *s;
	_Atomic unsigned begun, done;
};

static u64 pass_page(u64 pass, u64 entry)
{
	return BASE_IOVA + entry * SZ_2M + ALIGN_DOWN(pass * 37 * SZ_4K % SZ_2M, SZ_4K);
}

static void *pass_writer(void *arg)
{
	struct passes *p = arg;
	u64 seed = 1, entry, wait;
	unsigned pass;

	for (pass = 1; pass <= PASSES; pass++) {
		while (atomic_load(&p->begun) < pass)
			sched_yield();
		for (entry = 0; entry < SPAN / SZ_2M; entry++) {
			for (wait = rnd(&seed, 20000); wait; wait--)
				atomic_signal_fence(memory_order_seq_cst);
			assert_true(!p->s->pt.ops->set_dirty(&p->s->pt, pass_page(pass, entry)));
		}
		atomic_store(&p->done, pass);
	}
	return NULL;
}

static void a_mark_set_in_the_middle_is_found(void **state)
{
	struct shared s;
	struct passes p = { .s = &s };
	struct pt_gather gather;
	struct found found = { .s = &s };
	unsigned i, cuts;
	pthread_t thread;
	u64 entry;

	for (i = 0; i < ARRAY_SIZE(cut_formats); i++) {
		large_begin(&s, cut_formats[i], 1);
		p.begun = p.done = 0;
		assert_int_equal(pthread_create(&thread, NULL, pass_writer, &p), 0);
		while (p.begun < PASSES) {
			unsigned pass = atomic_fetch_add(&p.begun, 1) + 1;

			pt_gather_init(&gather);
			cuts = 0;
			do {
				/* no more than there are tables for, should the writer sleep */
				if (cuts++ < MOST_CUTS) {
					assert_int_equal(s.pt.ops->cut(&s.pt, BASE_IOVA, SPAN, 16),
							 0);
					s.pt.ops->collapse(&s.pt, BASE_IOVA, SPAN, 0, &gather);
				}
				/* there may be one processor only */
				if (cuts % 16 == 0 || cuts > MOST_CUTS)
					sched_yield();
			} while (atomic_load(&p.done) < pass);
			pt_gather_free(&gather); /* the writer is between two passes */
			/* two entries may be one by now: clear only after all were looked for */
			for (entry = 0; entry < SPAN / SZ_2M; entry++) {
				found.total = 0;
				s.pt.ops->read_and_clear_dirty(&s.pt, pass_page(pass, entry), 1,
							       PT_DIRTY_NO_CLEAR, find, &found);
				assert_true(found.total);
			}
			s.pt.ops->read_and_clear_dirty(&s.pt, BASE_IOVA, SPAN, 0, find, &found);
		}
		pthread_join(thread, NULL);
		assert_sound(&s.pt);
		shared_end(&s);
	}
}

/* Several cutters and joiners in one table, of entries that are not the same. */
static void *own_cutter(void *arg)
{
	struct worker *w = arg;
	u64 iova = BASE_IOVA + w->number * SZ_2M;
	unsigned small = __builtin_ctzll(w->s->pt.pgsize_bitmap), round;

	pthread_barrier_wait(&w->s->start);
	for (round = 0; round < 200; round++) {
		assert_int_equal(w->s->pt.ops->cut(&w->s->pt, iova, SZ_64K, small), 0);
		collapse_and_flush(w->s, iova, SZ_2M);
	}
	return NULL;
}

static void neighbours_are_cut_and_joined_at_once(void **state)
{
	struct worker w[3];
	struct shared s;
	struct pt_walk walk;
	unsigned i;

	shared_begin_as(&s, pt_x86_64_init, (struct pt_cfg){ .max_va_lg2 = 48 }, 3);
	map_checked(&s, BASE_IOVA, SPAN);
	start(&s, &w[0], 0, own_cutter);
	start(&s, &w[1], 1, own_cutter);
	start(&s, &w[2], 3, own_cutter);
	for (i = 0; i < ARRAY_SIZE(w); i++)
		pthread_join(w[i].thread, NULL);
	assert_sound(&s.pt);
	for (i = 0; i < 4; i++) {
		assert_int_equal(s.pt.ops->walk(&s.pt, BASE_IOVA + i * SZ_2M, &walk), 0);
		assert_int_equal(walk.lg2, 21);
	}
	shared_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappers_share_tables_while_devices_walk),
		cmocka_unit_test(two_mappers_install_the_same_tables),
		cmocka_unit_test(no_mark_is_lost_between_setters_and_a_collector),
		cmocka_unit_test(no_mark_is_lost_while_the_top_grows),
		cmocka_unit_test(devices_use_entries_that_are_cut_and_joined),
		cmocka_unit_test(no_mark_is_lost_to_a_cut_or_a_join),
		cmocka_unit_test(a_mark_set_in_the_middle_is_found),
		cmocka_unit_test(neighbours_are_cut_and_joined_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
