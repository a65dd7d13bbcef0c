/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous events (1.4, 5.2) and the error log (5.14.1.1).  An event waits until the
 * host has a command out for it; a type that was reported is silent until its log page is read.
 */
#include <string.h>

#include "devices/nvme/nvme.h"

static const u32 events[NVME_EVENTS] = {
	[NVME_EV_BAD_DOORBELL] = NVME_EVENT_BAD_DOORBELL,
	[NVME_EV_BAD_VALUE] = NVME_EVENT_BAD_VALUE,
	[NVME_EV_INTERNAL] = NVME_EVENT_INTERNAL,
	[NVME_EV_RELIABILITY] = NVME_EVENT_RELIABILITY,
	[NVME_EV_TEMPERATURE] = NVME_EVENT_TEMPERATURE,
	[NVME_EV_SPARE] = NVME_EVENT_SPARE,
	[NVME_EV_NS_CHANGED] = NVME_EVENT_NS_CHANGED,
};

/* Bits of the feature that let it be reported; 0: it always is (1.4, 5.21.1.11). */
static const u32 enables[NVME_EVENTS] = {
	[NVME_EV_RELIABILITY] = 1U << 2,
	[NVME_EV_TEMPERATURE] = 1U << 1,
	[NVME_EV_SPARE] = 1U << 0,
	[NVME_EV_NS_CHANGED] = 1U << 8,
};

void nvme_event_raise(struct nvme *nvme, enum nvme_event event)
{
	if (enables[event] && !(enables[event] & nvme->features.value[NVME_FEAT_EVENTS]))
		return;
	if (event <= NVME_EV_INTERNAL)
		nvme_error_log(nvme, NULL, event == NVME_EV_INTERNAL ? NVME_SC_INTERNAL : 0);
	nvme->pending_events |= 1U << event;
}

static void collect(struct nvme *nvme)
{
	u32 injected = atomic_exchange(&nvme->injected, 0);
	u32 changes = atomic_load(&nvme->ns->changes);

	for (u32 i = 0; i < NVME_EVENTS; i++)
		if (injected & 1U << i && (i != NVME_EV_TEMPERATURE || nvme_too_hot(nvme)))
			nvme_event_raise(nvme, (enum nvme_event)i);
	if (changes != nvme->ns_changes) {
		nvme->ns_changes = changes;
		nvme->changed_ns = true;
		nvme_event_raise(nvme, NVME_EV_NS_CHANGED);
	}
}

static bool report(struct nvme *nvme, u32 event)
{
	struct nvme_req *req = nvme_req_get(nvme, 0);

	if (!req)
		return false;
	req->cmd.opcode = NVME_ADMIN_ASYNC_EVENT;
	req->cmd.cid = nvme->events[0];
	req->result = events[event];
	nvme->num_events--;
	memmove(nvme->events, nvme->events + 1, nvme->num_events * sizeof(nvme->events[0]));
	nvme->pending_events &= ~(1U << event);
	nvme->masked_types |= 1U << NVME_EVENT_TYPE(events[event]);
	nvme_complete(nvme, req, NVME_SC_SUCCESS);
	return true;
}

bool nvme_events_run(struct nvme *nvme)
{
	bool did = false;

	if (atomic_load_explicit(&nvme->injected, memory_order_relaxed) ||
	    atomic_load_explicit(&nvme->ns->changes, memory_order_relaxed) != nvme->ns_changes)
		collect(nvme);
	if (likely(!nvme->pending_events))
		return false;
	for (u32 i = 0; i < NVME_EVENTS && nvme->num_events; i++)
		if (nvme->pending_events & 1U << i &&
		    !(nvme->masked_types & 1U << NVME_EVENT_TYPE(events[i])))
			did |= report(nvme, i);
	return did;
}

void nvme_event_read(struct nvme *nvme, u32 page)
{
	for (u32 i = 0; i < NVME_EVENTS; i++)
		if (NVME_EVENT_PAGE(events[i]) == page)
			nvme->masked_types &= ~(1U << NVME_EVENT_TYPE(events[i]));
}

int nvme_async_event(struct nvme *nvme, struct nvme_req *req)
{
	if (nvme->num_events == NVME_EVENT_SLOTS)
		return NVME_SC_AER_LIMIT;
	nvme->events[nvme->num_events++] = req->cmd.cid;
	nvme_req_drop(nvme, req);
	return NVME_PENDING;
}

void nvme_error_log(struct nvme *nvme, const struct nvme_req *req, int status)
{
	struct nvme_error_entry entry = {
		.count = ++nvme->error_count, .sq_id = 0xffff, .cid = 0xffff, .location = 0xffff};

	if (req) {
		entry.sq_id = req->sq_id;
		entry.cid = req->cmd.cid;
		entry.nsid = req->cmd.nsid;
		entry.lba = req->lba;
	}
	entry.status = (u16)((status | NVME_SC_MORE) << 1);
	nvme->errors[nvme->error_count % NVME_ERRORS] = entry;
	nvme->counters.errors++;
	if (status == NVME_SC_READ_ERROR || status == NVME_SC_WRITE_FAULT)
		nvme->counters.media_errors++;
}

bool nvme_too_hot(const struct nvme *nvme)
{
	u32 kelvin = atomic_load(&nvme->kelvin);

	return kelvin >= nvme->features.over || kelvin < nvme->features.under;
}
