/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces.  Rows are copied out under the map's locks and become JSON
 * when these are dropped, so that a look never holds up a map for longer than
 * the walk takes.
 */
#include "control/inspect.h"

#include <stdlib.h>

#include "control/json.h"
#include "hwpt/hwpt.h"
#include "ioas/area.h"
#include "ioas/ioas.h"

static struct iommufd_ioas *to_ioas(struct iommufd_object *obj)
{
	return container_of(obj, struct iommufd_ioas, obj);
}

/** struct ioas_sums - one line about a map */
struct ioas_sums {
	u64 areas, bytes, accesses, alignment;
	u32 domains;
	bool no_large;
};

static void ioas_sum(struct io_pagetable *iopt, struct ioas_sums *sums)
{
	struct rangemap_entry e;

	read_lock(&iopt->domains_rwsem);
	sums->domains = iopt->num_domains;
	read_unlock(&iopt->domains_rwsem);
	read_lock(&iopt->iova_rwsem);
	sums->areas = iopt->areas.count;
	rangemap_for_each_in (&iopt->areas, e, 0, UINT64_MAX)
		sums->bytes += e.last - e.first + 1;
	sums->accesses = iopt->access_list.count;
	sums->alignment = iopt->iova_alignment;
	sums->no_large = iopt->disable_large_pages;
	read_unlock(&iopt->iova_rwsem);
}

void inspect_add_ioas(struct iommufd_object *obj, struct json_object *row)
{
	struct ioas_sums sums = {0};

	ioas_sum(&to_ioas(obj)->iopt, &sums);
	json_add_u64(row, "areas", sums.areas);
	json_add_u64(row, "bytes", sums.bytes);
	json_add_u64(row, "domains", sums.domains);
	json_add_u64(row, "accesses", sums.accesses);
	json_add_u64(row, "alignment", sums.alignment);
	json_add_bool(row, "huge-pages", !sums.no_large);
}

/* ---- the map ---- */

/** struct area_row - an area as it was; @pid: whose memory, 0 a file's or a device's */
struct area_row {
	u64 first, last, start;
	int prot;
	enum iopt_origin origin;
	pid_t pid;
	bool in_flight;
	u32 accesses;
};

static void area_copy(struct iopt_area *area, struct area_row *row)
{
	struct iopt_pages *pages = area->pages;

	*row = (struct area_row){
		.first = area->first,
		.last = area->last,
		.start = pages->start + area->offset,
		.prot = area->prot,
		.origin = pages->origin,
		.in_flight = !area_usable(area),
		.accesses = atomic_load_explicit(&area->num_accesses, memory_order_relaxed),
	};
	if (pages->origin != IOPT_ORIGIN_USER)
		return;
	mutex_lock(&pages->mutex);
	row->pid = pages->mm ? mm_pid(pages->mm) : 0;
	mutex_unlock(&pages->mutex);
}

static u32 areas_copy(struct io_pagetable *iopt, struct inspect_range *range, struct area_row *rows,
		      u32 max)
{
	struct rangemap_entry e;
	u32 n = 0;

	read_lock(&iopt->iova_rwsem);
	rangemap_for_each_in (&iopt->areas, e, range->from, UINT64_MAX) {
		if (n == max) {
			range->more = true;
			range->next = e.first;
			break;
		}
		area_copy(e.value, &rows[n++]);
	}
	read_unlock(&iopt->iova_rwsem);
	return n;
}

static const char *prot_text(int prot)
{
	static const char *const texts[] = {"--", "r-", "-w", "rw"};

	return texts[prot & (IOMMU_READ | IOMMU_WRITE)];
}

static struct json_object *area_json(const struct area_row *row)
{
	static const char *const origins[] = {
		[IOPT_ORIGIN_USER] = "memory",
		[IOPT_ORIGIN_FILE] = "file",
		[IOPT_ORIGIN_DMABUF] = "dma-buf",
	};
	struct json_object *obj = json_object_new_object();

	json_add_hex(obj, "iova", row->first);
	json_add_hex(obj, "last", row->last);
	json_add_u64(obj, "length", row->last - row->first + 1);
	json_add_string(obj, "prot", prot_text(row->prot));
	json_add_string(obj, "origin", origins[row->origin]);
	json_add_hex(obj, "start", row->start);
	if (row->pid)
		json_add_u64(obj, "pid", (u64)row->pid);
	json_add_u64(obj, "pins", row->accesses);
	json_add_string(obj, "state", row->in_flight ? "changing" : "mapped");
	return obj;
}

static struct json_object *ranges_json(const struct iova_range *ranges, u32 n)
{
	struct json_object *array = json_object_new_array();

	for (u32 i = 0; i < n; i++) {
		struct json_object *obj = json_object_new_object();

		json_add_hex(obj, "first", ranges[i].first);
		json_add_hex(obj, "last", ranges[i].last);
		json_append(array, obj);
	}
	return array;
}

#define RANGES_MAX 256

static u32 reserved_copy(struct io_pagetable *iopt, struct iova_range *ranges)
{
	struct itree_node *node;
	u32 n = 0;

	read_lock(&iopt->iova_rwsem);
	for (node = itree_first(&iopt->reserved, 0, UINT64_MAX); node && n < RANGES_MAX;
	     node = itree_next(node, 0, UINT64_MAX))
		ranges[n++] = (struct iova_range){node->first, node->last};
	read_unlock(&iopt->iova_rwsem);
	return n;
}

static u32 allowed_copy(struct io_pagetable *iopt, struct iova_range *ranges)
{
	struct rangemap_entry e;
	u32 n = 0;

	read_lock(&iopt->iova_rwsem);
	rangemap_for_each_in (&iopt->allowed, e, 0, UINT64_MAX) {
		if (n == RANGES_MAX)
			break;
		ranges[n++] = (struct iova_range){e.first, e.last};
	}
	read_unlock(&iopt->iova_rwsem);
	return n;
}

struct json_object *inspect_ioas_map(struct iommufd_object *obj, struct inspect_range *range)
{
	struct io_pagetable *iopt = &to_ioas(obj)->iopt;
	struct json_object *row = json_object_new_object(), *array = json_object_new_array();
	struct area_row *rows = calloc(range->left, sizeof(*rows));
	struct iova_range ranges[RANGES_MAX];
	u32 n;

	n = rows ? areas_copy(iopt, range, rows, range->left) : 0;
	for (u32 i = 0; i < n; i++)
		json_append(array, area_json(&rows[i]));
	free(rows);
	range->left -= n;
	json_add_u64(row, "ioas", obj->id);
	json_add(row, "areas", array);
	n = reserved_copy(iopt, ranges);
	json_add(row, "reserved", ranges_json(ranges, n));
	n = allowed_copy(iopt, ranges);
	json_add(row, "allowed", ranges_json(ranges, n));
	return row;
}

/* ---- page tables ---- */

/** struct entry_row - an entry, as far as areas are behind it */
struct entry_row {
	u64 iova, pa, length;
	unsigned int prot;
	bool dirty;
};

/* What a domain says about @iova; one that says nothing about entries is asked page by page. */
static int domain_look(struct iommu_domain *domain, u64 iova, struct iommu_xlat *ret)
{
	u64 pa;

	if (domain->ops->look)
		return domain->ops->look(domain, iova, ret);
	pa = iommu_iova_to_phys(domain, iova);
	if (!pa)
		return -ENOENT;
	*ret = (struct iommu_xlat){
		.pa = pa,
		.lg2 = (unsigned int)__builtin_ctzll(domain->pgsize_bitmap),
		.prot = IOMMU_READ,
	};
	return 0;
}

/*
 * The entries behind one area, which can not go while iova_rwsem is held.  Holes in it
 * (a dma-buf that was revoked) are passed by pages.
 */
static u32 area_entries(struct iopt_area *area, struct iommu_domain *domain, u64 *iova,
			struct entry_row *rows, u32 max)
{
	u64 smallest = domain->pgsize_bitmap & -domain->pgsize_bitmap, last;
	struct iommu_xlat xlat;
	u32 n = 0;

	*iova = MAX(*iova, area->first);
	for (u32 looks = 0; n < max && looks < INSPECT_ROWS_MAX; looks++) {
		if (domain_look(domain, *iova, &xlat)) {
			last = *iova | (smallest - 1);
		} else {
			last = *iova | (xlat.lg2 < 64 ? BIT_ULL(xlat.lg2) - 1 : UINT64_MAX);
			rows[n++] = (struct entry_row){
				.iova = *iova,
				.pa = xlat.pa,
				.length = MIN(last, area->last) - *iova + 1,
				.prot = xlat.prot,
				.dirty = xlat.dirty,
			};
		}
		*iova = last + 1;
		if (last >= area->last)
			break;
	}
	return n;
}

static u32 entries_copy(struct io_pagetable *iopt, struct iommu_domain *domain,
			struct inspect_range *range, struct entry_row *rows, u32 max)
{
	u64 iova = range->from;
	struct rangemap_entry e;
	u32 n = 0;

	read_lock(&iopt->iova_rwsem);
	rangemap_for_each_in (&iopt->areas, e, range->from, UINT64_MAX) {
		struct iopt_area *area = e.value;

		if (!area_usable(area))
			continue;
		if (n < max)
			n += area_entries(area, domain, &iova, rows + n, max - n);
		if (n < max && iova > e.last)
			continue;
		range->more = iova <= e.last || e.last != UINT64_MAX;
		range->next = MAX(iova, e.first);
		break;
	}
	read_unlock(&iopt->iova_rwsem);
	return n;
}

static struct iommufd_hwpt_paging *hwpt_of(struct iommufd_object *obj)
{
	return to_hwpt_paging(container_of(obj, struct iommufd_hw_pagetable, obj));
}

struct json_object *inspect_page_table(struct iommufd_object *obj, struct inspect_range *range)
{
	struct iommufd_hwpt_paging *hwpt = hwpt_of(obj);
	struct json_object *row = json_object_new_object(), *array = json_object_new_array();
	struct entry_row *rows = calloc(range->left, sizeof(*rows));
	u32 n;

	n = rows ? entries_copy(&hwpt->ioas->iopt, hwpt->common.domain, range, rows, range->left)
		 : 0;
	for (u32 i = 0; i < n; i++) {
		struct json_object *entry = json_object_new_object();

		json_add_hex(entry, "iova", rows[i].iova);
		json_add_hex(entry, "pa", rows[i].pa);
		json_add_u64(entry, "length", rows[i].length);
		json_add_string(entry, "prot", prot_text((int)rows[i].prot));
		json_add_bool(entry, "dirty", rows[i].dirty);
		json_append(array, entry);
	}
	free(rows);
	range->left -= n;
	json_add_u64(row, "hwpt", obj->id);
	json_add_u64(row, "ioas", hwpt->ioas->obj.id);
	json_add(row, "entries", array);
	return row;
}

/* ---- dirty marks ---- */

struct dirty_sum {
	struct iommu_dirty_bitmap sink;
	u64 first, last; /* of the area */
	u64 bytes;
};

static void dirty_record(struct iommu_dirty_bitmap *sink, u64 iova, size_t length)
{
	struct dirty_sum *sum = container_of(sink, struct dirty_sum, sink);
	u64 first = MAX(iova, sum->first), last = MIN(iova + (length - 1), sum->last);

	/* A whole entry is reported, also what of it lies beside the area. */
	if (first <= last)
		sum->bytes += last - first + 1;
}

static u32 dirty_copy(struct io_pagetable *iopt, struct iommu_domain *domain,
		      struct inspect_range *range, struct dirty_sum *rows, u32 max)
{
	struct rangemap_entry e;
	u32 n = 0;

	read_lock(&iopt->iova_rwsem);
	rangemap_for_each_in (&iopt->areas, e, range->from, UINT64_MAX) {
		if (!area_usable(e.value))
			continue;
		if (n == max) {
			range->more = true;
			range->next = e.first;
			break;
		}
		rows[n] = (struct dirty_sum){
			.sink.record = dirty_record, .first = e.first, .last = e.last};
		domain->dirty_ops->read_and_clear_dirty(domain, e.first, e.last - e.first + 1,
							IOMMU_DIRTY_NO_CLEAR, &rows[n].sink);
		n++;
	}
	read_unlock(&iopt->iova_rwsem);
	return n;
}

struct json_object *inspect_dirty(struct iommufd_object *obj, struct inspect_range *range)
{
	struct iommufd_hwpt_paging *hwpt = hwpt_of(obj);
	struct iommu_domain *domain = hwpt->common.domain;
	struct json_object *row, *array;
	struct dirty_sum *rows;
	u64 total = 0;
	u32 n;

	if (!domain->dirty_ops)
		return NULL;
	row = json_object_new_object();
	array = json_object_new_array();
	rows = calloc(range->left, sizeof(*rows));
	n = rows ? dirty_copy(&hwpt->ioas->iopt, domain, range, rows, range->left) : 0;
	for (u32 i = 0; i < n; i++) {
		struct json_object *area = json_object_new_object();

		json_add_hex(area, "iova", rows[i].first);
		json_add_u64(area, "length", rows[i].last - rows[i].first + 1);
		json_add_u64(area, "dirty", rows[i].bytes);
		json_append(array, area);
		total += rows[i].bytes;
	}
	free(rows);
	range->left -= n;
	json_add_u64(row, "hwpt", obj->id);
	json_add_u64(row, "dirty", total);
	json_add(row, "areas", array);
	return row;
}
