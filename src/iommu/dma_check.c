/* SPDX-License-Identifier: MIT */
/*
 * The checker's books and its reports.  Records of areas that are gone are
 * kept, the latest few thousand, because they are what a stale
 * translation leads to.
 */
#include "iommu/dma_check.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "iommu/iotlb.h"
#include "mem/task.h"

#define GONE_MAX 4096
#define LEAKS_MAX 16 /* lines per map */

/**
 * struct check_area - an area, now or formerly
 * @gone: it was unmapped, by @gone_pid at @gone_ms; then it is in check->gone
 */
struct check_area {
	struct itree_node node;
	struct cds_list_head gone_node;
	const void *map;
	pid_t pid;
	u64 ms;
	bool gone;
	pid_t gone_pid;
	u64 gone_ms;
};

struct check_domain {
	struct cds_list_head node;
	const struct iommu_domain *domain;
	const void *map;
};

/**
 * struct dma_check - all of it
 * @start_ms: times are told from here
 */
struct dma_check {
	const struct log_sink *log;
	u64 start_ms;
	_Atomic u64 reports;
	struct mutex lock;
	struct itree areas __guarded_by(&lock);
	struct cds_list_head gone __guarded_by(&lock); /* oldest first */
	u32 gone_count __guarded_by(&lock);
	struct cds_list_head domains __guarded_by(&lock);
};

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static pid_t current_pid(void)
{
	return task_current && task_current->mm ? mm_pid(task_current->mm) : 0;
}

int dma_check_create(const struct log_sink *log, struct dma_check **ret_check)
{
	struct dma_check *check = zalloc(sizeof(*check));

	if (!check)
		return -ENOMEM;
	check->log = log;
	check->start_ms = now_ms();
	mutex_init(&check->lock);
	itree_init(&check->areas);
	CDS_INIT_LIST_HEAD(&check->gone);
	CDS_INIT_LIST_HEAD(&check->domains);
	*ret_check = check;
	return 0;
}

void dma_check_free(struct dma_check *check)
{
	struct check_domain *domain, *next;
	struct itree_node *node;

	if (!check)
		return;
	while ((node = itree_first(&check->areas, 0, UINT64_MAX))) {
		itree_remove(&check->areas, node);
		free(container_of(node, struct check_area, node));
	}
	cds_list_for_each_entry_safe(domain, next, &check->domains, node)
		free(domain);
	mutex_destroy(&check->lock);
	free(check);
}

u64 dma_check_reports(struct dma_check *check)
{
	return check ? atomic_load(&check->reports) : 0;
}

/* ---- the books ---- */

void dma_check_mapped_slow(struct dma_check *check, const void *map, u64 first, u64 last)
{
	struct check_area *area = zalloc(sizeof(*area));

	if (!area)
		return;
	area->node.first = first;
	area->node.last = last;
	area->map = map;
	area->pid = current_pid();
	area->ms = now_ms() - check->start_ms;
	mutex_lock(&check->lock);
	itree_insert(&check->areas, &area->node);
	mutex_unlock(&check->lock);
}

static void area_forget(struct dma_check *check, struct check_area *area) __must_hold(&check->lock)
{
	if (area->gone) {
		cds_list_del(&area->gone_node);
		check->gone_count--;
	}
	itree_remove(&check->areas, &area->node);
	free(area);
}

static void area_gone(struct dma_check *check, struct check_area *area) __must_hold(&check->lock)
{
	area->gone = true;
	area->gone_pid = current_pid();
	area->gone_ms = now_ms() - check->start_ms;
	cds_list_add_tail(&area->gone_node, &check->gone);
	if (++check->gone_count > GONE_MAX)
		area_forget(check,
			    cds_list_first_entry(&check->gone, struct check_area, gone_node));
}

/* Areas of a map do not overlap while they are there, so there is one. */
static struct check_area *area_live(struct dma_check *check, const void *map, u64 first, u64 last)
	__must_hold(&check->lock)
{
	struct itree_node *node;

	for (node = itree_first(&check->areas, first, last); node;
	     node = itree_next(node, first, last)) {
		struct check_area *area = container_of(node, struct check_area, node);

		if (area->map == map && !area->gone)
			return area;
	}
	return NULL;
}

void dma_check_unmapped_slow(struct dma_check *check, const void *map, u64 first, u64 last)
{
	struct check_area *area;

	mutex_lock(&check->lock);
	area = area_live(check, map, first, last);
	if (area)
		area_gone(check, area);
	mutex_unlock(&check->lock);
}

void dma_check_undone(struct dma_check *check, const void *map, u64 first, u64 last)
{
	struct check_area *area;

	if (!check)
		return;
	mutex_lock(&check->lock);
	area = area_live(check, map, first, last);
	if (area)
		area_forget(check, area);
	mutex_unlock(&check->lock);
}

void dma_check_joined(struct dma_check *check, const void *map, const struct iommu_domain *domain)
{
	struct check_domain *entry = check ? zalloc(sizeof(*entry)) : NULL;

	if (!entry)
		return;
	entry->domain = domain;
	entry->map = map;
	mutex_lock(&check->lock);
	cds_list_add(&entry->node, &check->domains);
	mutex_unlock(&check->lock);
}

void dma_check_left(struct dma_check *check, const struct iommu_domain *domain)
{
	struct check_domain *entry, *next;

	if (!check)
		return;
	mutex_lock(&check->lock);
	cds_list_for_each_entry_safe(entry, next, &check->domains, node) {
		if (entry->domain != domain)
			continue;
		cds_list_del(&entry->node);
		free(entry);
	}
	mutex_unlock(&check->lock);
}

/* ---- reports ---- */

/* The area at @iova: one that is there before one that was, of these the latest. */
static struct check_area *area_find(struct dma_check *check, const struct iommu_domain *domain,
				    u64 iova) __must_hold(&check->lock)
{
	struct check_area *best = NULL;
	struct check_domain *entry;
	const void *map = NULL;
	struct itree_node *node;

	cds_list_for_each_entry(entry, &check->domains, node)
		if (entry->domain == domain)
			map = entry->map;
	for (node = itree_first(&check->areas, iova, iova); node && map;
	     node = itree_next(node, iova, iova)) {
		struct check_area *area = container_of(node, struct check_area, node);

		if (area->map != map)
			continue;
		if (!best || !area->gone || (best->gone && area->gone_ms >= best->gone_ms))
			best = area;
	}
	return best;
}

static void area_text(const struct check_area *area, char *buf, size_t size)
{
	int n;

	if (!area) {
		snprintf(buf, size, "no area of the program's is or was there");
		return;
	}
	n = snprintf(buf, size, "area 0x%llx-0x%llx, mapped by pid %d at %llu ms",
		     (unsigned long long)area->node.first, (unsigned long long)area->node.last,
		     (int)area->pid, (unsigned long long)area->ms);
	if (area->gone && n > 0 && (size_t)n < size)
		snprintf(buf + n, size - n, ", unmapped by pid %d at %llu ms", (int)area->gone_pid,
			 (unsigned long long)area->gone_ms);
}

/* struct check_event - what is reported; its area is the one at @at of the IOAS of @domain */
struct check_event {
	u64 iova;
	unsigned int access;
	const char *what;
	const char *what_gone; /* if the program has unmapped it; NULL: areas tell nothing */
	const struct iommu_domain *domain;
	u64 at;
};

/* Called by the thread that does the DMA, inside its cache: so what is attached stays. */
static void check_report(struct dma_check *check, const struct iotlb *iotlb,
			 const struct check_event *event)
{
	const struct device *dev = atomic_load_explicit(&iotlb->dev, memory_order_relaxed);
	struct check_area *area;
	char text[200] = "", pasid[32] = "";
	bool gone = false;

	if (event->what_gone) {
		mutex_lock(&check->lock);
		area = area_find(check, event->domain, event->at);
		gone = area && area->gone;
		area_text(area, text, sizeof(text));
		mutex_unlock(&check->lock);
	}
	if (iotlb->pasid != IOMMU_NO_PASID)
		snprintf(pasid, sizeof(pasid), " pasid %u", iotlb->pasid);
	atomic_fetch_add(&check->reports, 1);
	log_line(check->log, IOMMUFD_LOG_WARN, "DMA check: %s%s: %s of iova 0x%llx %s%s%s",
		 dev ? dev->name : "device", pasid, event->access & IOMMU_WRITE ? "write" : "read",
		 (unsigned long long)event->iova, gone ? event->what_gone : event->what,
		 *text ? "; " : "", text);
}

void dma_check_stale(struct dma_check *check, const struct iotlb *iotlb, u64 iova,
		     unsigned int access)
{
	struct check_event event = {
		.iova = iova,
		.access = access,
		.what = "uses a translation that should have been invalidated",
		.what_gone = "reaches memory the program has unmapped, by a translation that was "
			     "not invalidated",
		.domain = iotlb->domain,
		.at = iova,
	};

	if (iotlb->domain->parent) {
		event.what = "uses a translation the guest should have invalidated";
		event.what_gone = NULL;
	}
	check_report(check, iotlb, &event);
}

void dma_check_refused(struct dma_check *check, const struct iotlb *iotlb, u64 iova,
		       unsigned int access, enum iommu_xlat_fault reason,
		       const struct iommu_xlat *x)
{
	const struct iommu_domain *domain = iotlb->domain;
	struct check_event event = {
		.iova = iova,
		.access = access,
		.what = reason == IOMMU_XLAT_PERMISSION ?
				"is not what the device was given it for" :
				"is outside what the device was given",
		.what_gone = "comes after the program has unmapped it",
		.domain = domain,
		.at = iova,
	};

	/* Somebody takes page requests: trying first is how they begin. */
	if (domain->iopf_handler &&
	    (reason == IOMMU_XLAT_NOT_PRESENT || reason == IOMMU_XLAT_PERMISSION))
		return;
	if (domain->parent && x->stage2) {
		event.domain = domain->parent;
		event.at = x->fault_addr;
	} else if (domain->parent) {
		event.what = "is refused by the guest's tables";
		event.what_gone = NULL;
	}
	check_report(check, iotlb, &event);
}

void dma_check_unattached(struct dma_check *check, const struct iotlb *iotlb, u64 iova,
			  unsigned int access)
{
	struct check_event event = {
		.iova = iova,
		.access = access,
		.what = "while the device is attached to nothing, or may do no DMA",
	};

	check_report(check, iotlb, &event);
}

void dma_check_ended(struct dma_check *check, const void *map)
{
	struct itree_node *node, *next;
	char text[200];
	u32 leaks = 0;

	if (!check)
		return;
	mutex_lock(&check->lock);
	for (node = itree_first(&check->areas, 0, UINT64_MAX); node; node = next) {
		struct check_area *area = container_of(node, struct check_area, node);

		next = itree_next(node, 0, UINT64_MAX);
		if (area->map != map)
			continue;
		if (!area->gone) {
			atomic_fetch_add(&check->reports, 1);
			area_text(area, text, sizeof(text));
			if (leaks++ < LEAKS_MAX)
				log_line(check->log, IOMMUFD_LOG_WARN,
					 "DMA check: left mapped when its IOAS ended: %s", text);
		}
		area_forget(check, area);
	}
	mutex_unlock(&check->lock);
	if (leaks > LEAKS_MAX)
		log_line(check->log, IOMMUFD_LOG_WARN, "DMA check: and %u more", leaks - LEAKS_MAX);
}
