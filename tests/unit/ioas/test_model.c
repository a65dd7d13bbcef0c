/* SPDX-License-Identifier: MIT */
/*
 * Random histories of two address spaces against a naive model.
 *
 * All memory is one file of a few pages, each filled with its own number, so
 * the number is a page's identity.  The program sees the file through a window
 * of addresses whose pages it moves about.  The model keeps, for every page of
 * every object a MAP made, which file page it is for as long as somebody holds
 * it; from that follow what each domain translates to, how often each page is
 * pinned and what reads return.
 */
#include "harness.h"

#define FILE_PAGES 20
#define VA_PAGES 16
#define IOVA_PAGES 24
#define MAX_AREAS 64
#define MAX_OBJECTS 4096
#define MAX_PINS 32

struct object {
	bool writable;
	bool file;
	u32 start;            /* page in the window, or in the file */
	int frozen[VA_PAGES]; /* identity while held, else -1 */
};

struct area {
	u32 ioas, first, n; /* pages */
	u32 object, object_first;
	bool write;
};

struct pin {
	u32 ioas, first, n, number;
};

struct model {
	struct bed *bed;
	u64 seed;
	int fd;
	char *view;          /* all of the file, for ever */
	char *window;        /* VA_PAGES, moved about */
	u32 current[VA_PAGES];
	u32 ioas[2];
	int access[2];
	struct device_ids device[2]; /* automatic hwpt, if any */
	u32 hwpt[2];                 /* and one made by hand, if any */
	u32 elsewhere;               /* a device to make hwpts with */
	bool cuts;                   /* large pages are off */
	struct object objects[MAX_OBJECTS];
	u32 nobjects;
	struct area areas[MAX_AREAS];
	u32 nareas;
	struct pin pins[MAX_PINS];
	u32 npins;
};

static u32 pick(struct model *m, u32 bound)
{
	return (u32)random_below(&m->seed, bound);
}

static u64 iova_of(u32 page)
{
	return BED_IOVA + page * PAGE_SIZE;
}

/* ---- what the model knows ---- */

static struct area *area_at(struct model *m, u32 ioas, u32 page)
{
	for (u32 i = 0; i < m->nareas; i++) {
		struct area *area = &m->areas[i];

		if (area->ioas == ioas && area->first <= page && page < area->first + area->n)
			return area;
	}
	return NULL;
}

static bool has_domain(const struct model *m, u32 ioas)
{
	return m->device[ioas].stdev || m->hwpt[ioas];
}

static int present_identity(const struct model *m, const struct object *object, u32 index)
{
	return (int)(object->file ? object->start + index : m->current[object->start + index]);
}

static int identity(const struct model *m, const struct area *area, u32 page)
{
	const struct object *object = &m->objects[area->object];
	u32 index = area->object_first + page - area->first;

	return object->frozen[index] >= 0 ? object->frozen[index] :
					    present_identity(m, object, index);
}

/* Freeze what somebody holds now, and forget what nobody does. */
static void update_holds(struct model *m)
{
	static bool held[MAX_OBJECTS][VA_PAGES];
	struct area *area;

	memset(held, 0, sizeof(held[0]) * m->nobjects);
	for (u32 i = 0; i < m->nareas; i++)
		for (u32 k = 0; k < m->areas[i].n && has_domain(m, m->areas[i].ioas); k++)
			held[m->areas[i].object][m->areas[i].object_first + k] = true;
	for (u32 i = 0; i < m->npins; i++)
		for (u32 k = 0; k < m->pins[i].n; k++) {
			area = area_at(m, m->pins[i].ioas, m->pins[i].first + k);
			held[area->object]
			    [area->object_first + m->pins[i].first + k - area->first] = true;
		}
	for (u32 i = 0; i < m->nobjects; i++)
		for (u32 k = 0; k < VA_PAGES; k++) {
			int *frozen = &m->objects[i].frozen[k];

			if (!held[i][k])
				*frozen = -1;
			else if (*frozen < 0)
				*frozen = present_identity(m, &m->objects[i], k);
		}
}

/* ---- comparing ---- */

static void compare_refs(struct model *m)
{
	u32 refs[FILE_PAGES] = { 0 }, total = 0;

	for (u32 i = 0; i < m->nobjects; i++)
		for (u32 k = 0; k < VA_PAGES; k++)
			if (m->objects[i].frozen[k] >= 0) {
				refs[m->objects[i].frozen[k]]++;
				total++;
			}
	for (u32 page = 0; page < FILE_PAGES; page++)
		assert_int_equal(
			check_refs(m->bed, m->view + page * PAGE_SIZE, PAGE_SIZE, refs[page]), 0);
	assert_int_equal(mm_pinned_pages(m->bed->proc->mm), total);
	assert_int_equal(mem_space_pins(m->bed->system->mem), total);
}

static void compare_domain(struct model *m, u32 ioas, u32 hwpt)
{
	for (u32 page = 0; page < IOVA_PAGES; page++) {
		struct area *area = area_at(m, ioas, page);
		long rc = check_map(m->bed, hwpt, iova_of(page),
				    m->view + (area ? identity(m, area, page) : 0) * PAGE_SIZE,
				    PAGE_SIZE);

		assert_int_equal(rc, area ? 0 : -EINVAL);
	}
}

/*
 * A read of the owner shows what is at the address now; the slow path shows the held pages
 * where it needs more than one page of an area.
 */
static void compare_read(struct model *m, u32 ioas, bool slow)
{
	u32 first = pick(m, IOVA_PAGES), n = 1 + pick(m, IOVA_PAGES - first), page, step;
	char buf[IOVA_PAGES * PAGE_SIZE];
	struct area *area;
	long rc = access_rw(m->bed, m->access[ioas], iova_of(first), buf, n * PAGE_SIZE,
			    slow ? MOCK_ACCESS_RW_SLOW_PATH : 0);

	for (page = first; page < first + n; page++)
		if (!area_at(m, ioas, page)) {
			assert_int_equal(rc, -ENOENT);
			return;
		}
	assert_int_equal(rc, 0);
	for (page = first; page < first + n; page++) {
		const struct object *object;
		int want;

		area = area_at(m, ioas, page);
		object = &m->objects[area->object];
		step = MIN(area->first + area->n, first + n) - MAX(area->first, first);
		want = object->file || (slow && step > 1) ?
			       identity(m, area, page) :
			       present_identity(m, object, area->object_first + page - area->first);
		assert_int_equal((unsigned char)buf[(page - first) * PAGE_SIZE + 17], want);
	}
}

static void compare(struct model *m)
{
	update_holds(m);
	assert_sound(m->bed);
	compare_refs(m);
	for (u32 ioas = 0; ioas < 2; ioas++) {
		if (m->device[ioas].stdev)
			compare_domain(m, ioas, m->device[ioas].hwpt);
		if (m->hwpt[ioas])
			compare_domain(m, ioas, m->hwpt[ioas]);
		compare_read(m, ioas, pick(m, 2));
	}
}

/* ---- steps ---- */

static bool range_is_free(struct model *m, u32 ioas, u32 first, u32 n)
{
	for (u32 page = first; page < first + n; page++)
		if (area_at(m, ioas, page))
			return false;
	return true;
}

static void add_area(struct model *m, struct area area)
{
	assert_true(m->nareas < MAX_AREAS);
	m->areas[m->nareas++] = area;
}

static void step_map(struct model *m, bool file)
{
	u32 ioas = pick(m, 2), first = pick(m, IOVA_PAGES), n = 1 + pick(m, 6), start;
	struct object *object = &m->objects[m->nobjects];
	bool write = pick(m, 3);
	u64 iova = iova_of(first);
	long rc;

	if (m->nobjects == MAX_OBJECTS || first + n > IOVA_PAGES)
		return;
	start = pick(m, (file ? FILE_PAGES : VA_PAGES) - n + 1);
	if (file)
		rc = map_file_flags(m->bed, m->ioas[ioas], m->fd, start * PAGE_SIZE, n * PAGE_SIZE,
				    &iova, FIXED | (write ? RW : RO));
	else
		rc = map_flags(m->bed, m->ioas[ioas], m->window + start * PAGE_SIZE, n * PAGE_SIZE,
			       &iova, FIXED | (write ? RW : RO));
	assert_int_equal(rc, range_is_free(m, ioas, first, n) ? 0 : -EEXIST);
	if (rc)
		return;
	*object = (struct object){ .writable = write, .file = file, .start = start };
	memset(object->frozen, -1, sizeof(object->frozen));
	add_area(m, (struct area){ ioas, first, n, m->nobjects++, 0, write });
}

static long expected_copy(struct model *m, u32 src, u32 src_first, u32 dst, u32 dst_first, u32 n,
			  bool write)
{
	long rc = 0;

	for (u32 page = src_first; page < src_first + n; page++) {
		struct area *area = area_at(m, src, page);

		if (!area)
			return -ENOENT;
		if (write && !m->objects[area->object].writable)
			rc = -EPERM;
	}
	return range_is_free(m, dst, dst_first, n) ? rc : -EEXIST;
}

static void step_copy(struct model *m)
{
	u32 src = pick(m, 2), dst = pick(m, 2), n = 1 + pick(m, 8);
	u32 from = pick(m, IOVA_PAGES - n + 1), to = pick(m, IOVA_PAGES - n + 1), page, piece;
	bool write = pick(m, 2);
	u64 iova = iova_of(to);
	long rc = copy_flags(m->bed, m->ioas[dst], &iova, m->ioas[src], iova_of(from),
			     n * PAGE_SIZE, FIXED | (write ? RW : RO));

	assert_int_equal(rc, expected_copy(m, src, from, dst, to, n, write));
	if (rc)
		return;
	for (page = from; page < from + n; page += piece) {
		struct area area = *area_at(m, src, page);

		piece = MIN(area.first + area.n, from + n) - page;
		add_area(m, (struct area){ dst, to + page - from, piece, area.object,
					   area.object_first + page - area.first, write });
	}
}

static bool pin_touches(const struct pin *pin, const struct area *area)
{
	return pin->ioas == area->ioas && pin->first < area->first + area->n &&
	       area->first < pin->first + pin->n;
}

static bool area_is_pinned(const struct model *m, const struct area *area)
{
	for (u32 i = 0; i < m->npins; i++)
		if (pin_touches(&m->pins[i], area))
			return true;
	return false;
}

/* The access lets go of every pin the area is part of. */
static void drop_area(struct model *m, struct area *area)
{
	for (u32 i = 0; i < m->npins;)
		if (pin_touches(&m->pins[i], area))
			m->pins[i] = m->pins[--m->npins];
		else
			i++;
	*area = m->areas[--m->nareas];
}

/* Whole areas only; those before the first that sticks out are gone.  Pages, or -errno. */
static s64 model_unmap(struct model *m, u32 ioas, u32 first, u32 n)
{
	s64 unmapped = 0;

	for (u32 page = first; page < first + n; page++) {
		struct area *area = area_at(m, ioas, page);

		if (!area)
			continue;
		if (area->first < first || area->first + area->n > first + n)
			return -ENOENT;
		unmapped += area->n;
		page = area->first + area->n - 1;
		drop_area(m, area);
	}
	return unmapped;
}

static void step_unmap(struct model *m)
{
	u32 ioas = pick(m, 2), first = pick(m, IOVA_PAGES), n = 1 + pick(m, IOVA_PAGES - first);
	struct area *area = area_at(m, ioas, first);
	s64 rc, want;

	if (area && pick(m, 3)) {
		first = area->first;
		n = area->n;
	}
	rc = unmap(m->bed, m->ioas[ioas], iova_of(first), n * PAGE_SIZE);
	want = model_unmap(m, ioas, first, n);
	assert_int_equal(rc, want < 0 ? want : want ? want * (s64)PAGE_SIZE : -ENOENT);
}

static long model_cut(struct model *m, u32 ioas, u32 at)
{
	struct area *area = area_at(m, ioas, at), upper;

	if (!area || area->first == at)
		return 0;
	if (area_is_pinned(m, area))
		return -EINVAL;
	upper = *area;
	upper.first = at;
	upper.n = area->first + area->n - at;
	upper.object_first += at - area->first;
	area->n = at - area->first;
	add_area(m, upper);
	return 0;
}

static void step_unmap_dma(struct model *m)
{
	u32 ioas = pick(m, 2), first = pick(m, IOVA_PAGES), n = 1 + pick(m, IOVA_PAGES - first);
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .iova = iova_of(first), .size = n * PAGE_SIZE
	};
	s64 want = 0;
	long rc;

	assert_int_equal(compat_set(m->bed, m->ioas[ioas]), 0);
	rc = bed_ioctl(m->bed, VFIO_IOMMU_UNMAP_DMA, &cmd);
	if (m->cuts)
		want = model_cut(m, ioas, first + n);
	if (!want && m->cuts)
		want = model_cut(m, ioas, first);
	if (!want)
		want = model_unmap(m, ioas, first, n);
	assert_int_equal(rc, want < 0 ? want : 0);
	if (!rc)
		assert_int_equal(cmd.size, want * (s64)PAGE_SIZE);
}

static void step_pin(struct model *m)
{
	u32 ioas = pick(m, 2), first = pick(m, IOVA_PAGES), n = 1 + pick(m, 5);
	bool write = pick(m, 2);
	long rc, want = 0;

	if (m->npins == MAX_PINS)
		return;
	for (u32 page = first; page < first + n && !want; page++) {
		struct area *area = area_at(m, ioas, page);

		if (!area)
			want = -ENOENT;
		else if (write && !area->write)
			want = -EPERM;
	}
	rc = access_pin(m->bed, m->access[ioas], iova_of(first), n * PAGE_SIZE - pick(m, 100), NULL,
			write);
	assert_int_equal(rc < 0 ? rc : 0, want);
	if (!want)
		m->pins[m->npins++] = (struct pin){ ioas, first, n, (u32)rc };
}

static void step_unpin(struct model *m)
{
	u32 i;

	if (!m->npins)
		return;
	i = pick(m, m->npins);
	assert_int_equal(access_unpin(m->bed, m->access[m->pins[i].ioas], m->pins[i].number), 0);
	m->pins[i] = m->pins[--m->npins];
}

static void step_device(struct model *m)
{
	u32 ioas = pick(m, 2);

	if (m->device[ioas].stdev) {
		assert_int_equal(object_kill(m->bed, m->device[ioas].stdev), 0);
		m->device[ioas].stdev = 0;
	} else {
		m->device[ioas] = device_attached(m->bed, m->ioas[ioas]);
	}
}

static void step_hwpt(struct model *m)
{
	u32 ioas = pick(m, 2);
	long id;

	if (m->hwpt[ioas]) {
		assert_int_equal(object_kill(m->bed, m->hwpt[ioas]), 0);
		m->hwpt[ioas] = 0;
		return;
	}
	id = hwpt_new(m->bed, m->elsewhere, m->ioas[ioas], IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	assert_true(id > 0);
	m->hwpt[ioas] = (u32)id;
}

/* The program puts another page of the file at an address. */
static void step_move(struct model *m)
{
	u32 at = pick(m, VA_PAGES), page = pick(m, FILE_PAGES);
	char *va = m->window + at * PAGE_SIZE;

	assert_ptr_equal(mmap(va, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
			      (off_t)(page * PAGE_SIZE)), va);
	m->current[at] = page;
}

static void step_change_process(struct model *m)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
	long want = 0;

	for (u32 i = 0; i < m->nareas; i++)
		if (!m->objects[m->areas[i].object].file)
			want = -EINVAL;
	assert_int_equal(bed_ioctl(m->bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), want);
}

static void step(struct model *m)
{
	switch (pick(m, 16)) {
	case 0 ... 2:
		return step_map(m, false);
	case 3 ... 4:
		return step_map(m, true);
	case 5 ... 6:
		return step_copy(m);
	case 7 ... 8:
		return step_unmap(m);
	case 9:
		return step_unmap_dma(m);
	case 10:
		return step_pin(m);
	case 11:
		return step_unpin(m);
	case 12:
		return step_device(m);
	case 13:
		return step_hwpt(m);
	case 14:
		return step_move(m);
	default:
		return step_change_process(m);
	}
}

/* ---- a history ---- */

static void model_begin(struct model *m, struct bed *bed, u64 seed, bool cuts)
{
	*m = (struct model){
		.bed = bed, .seed = seed, .cuts = cuts, .fd = memfd_of(FILE_PAGES, 0),
	};
	m->view = mmap(NULL, FILE_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	for (u32 page = 0; page < FILE_PAGES; page++)
		memset(m->view + page * PAGE_SIZE, (int)page, PAGE_SIZE);
	m->window = mmap(NULL, VA_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	for (u32 page = 0; page < VA_PAGES; page++)
		m->current[page] = page;
	for (u32 i = 0; i < 2; i++) {
		m->ioas[i] = (u32)ioas_new(bed);
		if (cuts)
			assert_int_equal(option_huge_set(bed, m->ioas[i], 0), 0);
		m->access[i] = (int)access_new_pinning(bed, m->ioas[i]);
	}
	m->elsewhere = device_attached(bed, (u32)ioas_new(bed)).idev;
}

static void model_end(struct model *m)
{
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(iommufd_close(m->bed->proc, m->access[i]), 0);
		assert_true(unmap_all(m->bed, m->ioas[i]) >= 0);
	}
	assert_int_equal(mem_space_pins(m->bed->system->mem), 0);
	munmap(m->view, FILE_PAGES * PAGE_SIZE);
	munmap(m->window, VA_PAGES * PAGE_SIZE);
	close(m->fd);
}

static void run_history(struct bed *bed, u64 seed, bool cuts)
{
	struct model *m = test_calloc(1, sizeof(*m));

	model_begin(m, bed, seed, cuts);
	for (u32 i = 0; i < (BED_SLOW ? 3000 : 10000); i++) {
		step(m);
		compare(m);
	}
	model_end(m);
	test_free(m);
}

static void histories_agree_with_the_model(void **state)
{
	run_history(*state, 1, false);
}

static void histories_with_cuts_agree_with_the_model(void **state)
{
	run_history(*state, 2, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(histories_agree_with_the_model),
		bed_test_scattered(histories_agree_with_the_model),
		bed_test(histories_with_cuts_agree_with_the_model),
		bed_test_scattered(histories_with_cuts_agree_with_the_model),
	};

	return cmocka_run_group_tests_name("ioas_model", tests, NULL, NULL);
}
