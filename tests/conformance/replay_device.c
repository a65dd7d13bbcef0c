/* SPDX-License-Identifier: MIT */
/*
 * Calls on mock devices: attachment, page tables, PASIDs, page requests.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "replay.h"

typedef unsigned long long ull;

/* What can be attached, mostly. */
static uint32_t pick_pt(struct context *ctx)
{
	return pick_id(ctx, PICK(IOAS, IOAS, HWPT, HWPT, NESTED, NESTED, PASID_HWPT));
}

/* ---- devices ---- */

bool mock_domain(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = chance(80) ? pick_id(ctx, IOAS) : pick_pt(ctx),
	};

	if (chance(60)) {
		cmd.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS;
		cmd.mock_domain_flags.dev_flags = USUALLY(PICK(0, 1, 4, 4, 5), 2, 8);
	}
	say(" %u op %u flags %x", cmd.id, cmd.op, cmd.mock_domain_flags.dev_flags);
	if (CALL(ctx, IOMMU_TEST_CMD, cmd) >= 0) {
		note_id(ctx, STDEV, cmd.mock_domain.out_stdev_id);
		note_id(ctx, HWPT, cmd.mock_domain.out_hwpt_id);
		note_id(ctx, IDEV, cmd.mock_domain.out_idev_id);
	}
	say_line();
	return true;
}

static bool replace(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = pick_id(ctx, STDEV),
	};

	cmd.mock_domain_replace.pt_id = pick_pt(ctx);
	say(" %u pt %u", cmd.id, cmd.mock_domain_replace.pt_id);
	if (CALL(ctx, IOMMU_TEST_CMD, cmd) >= 0)
		note_id(ctx, HWPT, cmd.mock_domain_replace.pt_id);
	say_line();
	return true;
}

static bool hw_info(void)
{
	struct context *ctx = pick_context();
	struct iommu_hw_info cmd = {
		.flags = USUALLY(pick(2), 2, 1u << 31),
		.dev_id = pick_id(ctx, IDEV),
		.data_len = PICK(0, 4, 8, 8, 12, 100),
		.in_data_type = USUALLY(PICK(0, IOMMU_HW_INFO_TYPE_SELFTEST), 1, UINT32_MAX),
	};

	cmd.data_uptr = data_arg(NULL, cmd.data_len);
	cmd.__reserved[pick(3)] = USUALLY(0, 1);
	say(" flags %x dev %u len %u type %x res %x at %llx", cmd.flags, cmd.dev_id, cmd.data_len,
	    cmd.in_data_type, cmd.__reserved[0] | cmd.__reserved[1] | cmd.__reserved[2],
	    (ull)cmd.data_uptr);
	CALL(ctx, IOMMU_GET_HW_INFO, cmd);
	say_data();
	say_line();
	return true;
}

/* ---- page tables ---- */

static void hwpt_alloc_call(struct context *ctx, struct iommu_hwpt_alloc *cmd, enum kind kind)
{
	say(" flags %x dev %u pt %u type %x len %u at %llx fault %u", cmd->flags, cmd->dev_id,
	    cmd->pt_id, cmd->data_type, cmd->data_len, (ull)cmd->data_uptr, cmd->fault_id);
	if (cmd->__reserved || cmd->__reserved2)
		say(" res %x %x", cmd->__reserved, cmd->__reserved2);
	if (call(ctx->fd, IOMMU_HWPT_ALLOC, cmd, sizeof(*cmd)) >= 0) {
		note_id(ctx, kind, cmd->out_hwpt_id);
		if (cmd->flags & IOMMU_HWPT_ALLOC_PASID)
			note_id(ctx, PASID_HWPT, cmd->out_hwpt_id);
		if (cmd->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
			note_id(ctx, DIRTY_HWPT, cmd->out_hwpt_id);
	}
	say_line();
}

bool hwpt_alloc(void)
{
	struct context *ctx = pick_context();
	struct iommu_hwpt_selftest data = {
		.iotlb = IOMMU_TEST_IOTLB_DEFAULT, .pagetable_type = USUALLY(PICK(0, 0, 1), 2, 99),
	};
	struct iommu_hwpt_alloc cmd = {
		.flags = USUALLY(PICK(0, 0, 1, 1, 2, 2, 8, 8, 9, 10), 3, 11, 5, 16, 1u << 31),
		.dev_id = pick_id(ctx, IDEV),
		.pt_id = chance(95) ? pick_id(ctx, IOAS) : pick_id(ctx, pick(KINDS)),
		.__reserved = USUALLY(0, 1),
		.__reserved2 = USUALLY(0, 1),
	};

	if (chance(12)) {
		cmd.flags |= IOMMU_HWPT_FAULT_ID_VALID;
		cmd.fault_id = pick_id(ctx, FAULT);
	}
	if (data.pagetable_type == 1 && !world->big_tables)
		data.pagetable_type = 0;
	if (chance(40)) {
		cmd.data_type = USUALLY(IOMMU_HWPT_DATA_SELFTEST, 0, 1);
		cmd.data_len = USUALLY(PICK(8, 8, 4), 0, 3, 9, 12);
		cmd.data_uptr = data_arg(&data, sizeof(data));
		say(" table %u", data.pagetable_type);
	}
	hwpt_alloc_call(ctx, &cmd, HWPT);
	return true;
}

static bool nested_alloc(void)
{
	struct context *ctx = pick_context();
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_hwpt_alloc cmd = {
		.flags = USUALLY(PICK(0, 0, 0, 8), 1, 2, 16),
		.dev_id = pick_id(ctx, IDEV),
		.pt_id = pick_id(ctx, PICK(HWPT, VIOMMU, VIOMMU)),
		.data_type = USUALLY(IOMMU_HWPT_DATA_SELFTEST, 0, 1),
		.data_len = USUALLY(PICK(8, 8, 4), 0, 3, 9),
		.__reserved = USUALLY(0, 1),
	};

	if (chance(40)) {
		cmd.flags |= IOMMU_HWPT_FAULT_ID_VALID;
		cmd.fault_id = pick_id(ctx, FAULT);
	}
	cmd.data_uptr = data_arg(&data, sizeof(data));
	hwpt_alloc_call(ctx, &cmd, NESTED);
	return true;
}

static bool invalidate(void)
{
	struct context *ctx = pick_context();
	bool viommu = chance(50);
	struct iommu_hwpt_invalidate cmd = {
		.hwpt_id = pick_id(ctx, viommu ? VIOMMU : NESTED),
		.data_type = USUALLY(IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, 0xdadbeef, 0, 1),
		.entry_len = USUALLY(viommu ? 12 : 8, 0, 1, 4, 8, 12, 13, 16, 4096, 4097),
		.entry_num = USUALLY(PICK(0, 1, 1, 2, 3), (1u << 19) + 1),
		.__reserved = USUALLY(0, 1),
	};
	uint32_t words[16] = { 0 };

	for (unsigned int i = 0; i < 4; i++) {
		uint32_t *entry = &words[i * (viommu ? 3 : 2)];

		*entry++ = USUALLY(PICK(0, 0, 0, 1), 2);
		if (viommu)
			*entry++ = USUALLY(PICK(0, 1, 2, 0x99), 77);
		*entry = USUALLY(pick(4), 4, UINT32_MAX);
	}
	cmd.data_uptr = data_arg(words, sizeof(words));
	say(" %u type %x len %u num %u res %u at %llx words %08x", cmd.hwpt_id, cmd.data_type,
	    cmd.entry_len, cmd.entry_num, cmd.__reserved, (ull)cmd.data_uptr, hash(words, 48));
	CALL(ctx, IOMMU_HWPT_INVALIDATE, cmd);
	say_line();
	return true;
}

static bool check_iotlb(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_IOTLB, .id = pick_id(ctx, NESTED),
	};

	if (lacks(ctx, NESTED))
		return false;
	cmd.check_iotlb.id = USUALLY(pick(4), 4, UINT32_MAX);
	cmd.check_iotlb.iotlb = PICK(0, IOMMU_TEST_IOTLB_DEFAULT);
	say(" %u entry %u is %x", cmd.id, cmd.check_iotlb.id, cmd.check_iotlb.iotlb);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

static bool check_cache(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DEV_CHECK_CACHE, .id = pick_id(ctx, IDEV),
	};

	cmd.check_dev_cache.id = USUALLY(pick(4), 4, UINT32_MAX);
	cmd.check_dev_cache.cache = PICK(0, IOMMU_TEST_DEV_CACHE_DEFAULT);
	say(" %u entry %u is %x", cmd.id, cmd.check_dev_cache.id, cmd.check_dev_cache.cache);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

/* ---- PASIDs ---- */

static uint32_t pick_pasid(void)
{
	return USUALLY(PICK(1, 1, 2, 100, 1024, 2048), 0, 1u << 20, (1u << 20) - 1, 1u << 31,
		       UINT32_MAX);
}

/* Always at a good address: whether it is attached has to be known. */
static bool pasid_attach(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_PASID_ATTACH, .id = pick_id(ctx, STDEV) };
	uint32_t pasid = pick_pasid();

	if (ctx->n_pasids == PASIDS || !pasid || lacks(ctx, PASID_HWPT))
		return false;
	if (chance(30))
		cmd.op = IOMMU_TEST_OP_PASID_REPLACE;
	cmd.pasid_attach.pasid = pasid;
	cmd.pasid_attach.pt_id = chance(85) ? pick_id(ctx, PASID_HWPT) : pick_pt(ctx);
	say(" %u op %u pasid %x pt %u", cmd.id, cmd.op, pasid, cmd.pasid_attach.pt_id);
	if (call_plainly(ctx->fd, IOMMU_TEST_CMD, &cmd, sizeof(cmd)) >= 0)
		note_pasid(ctx, cmd.id, pasid, true);
	say_line();
	return true;
}

static bool pasid_detach(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_PASID_DETACH, .id = pick_id(ctx, STDEV) };

	cmd.pasid_detach.pasid = pick_pasid();
	if (ctx->n_pasids && chance(70)) {
		unsigned int i = pick(ctx->n_pasids);

		cmd.id = ctx->pasids[i].stdev;
		cmd.pasid_detach.pasid = ctx->pasids[i].pasid;
	}
	if (!cmd.pasid_detach.pasid)
		return false;
	say(" %u pasid %x", cmd.id, cmd.pasid_detach.pasid);
	if (call_plainly(ctx->fd, IOMMU_TEST_CMD, &cmd, sizeof(cmd)) >= 0)
		note_pasid(ctx, cmd.id, cmd.pasid_detach.pasid, false);
	say_line();
	return true;
}

static bool pasid_check(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_PASID_CHECK_HWPT, .id = pick_id(ctx, STDEV),
	};

	if (lacks(ctx, PASID_HWPT))
		return false;
	cmd.pasid_check.pasid = pick_pasid();
	cmd.pasid_check.hwpt_id = chance(70) ? pick_id(ctx, PASID_HWPT) : 0;
	say(" %u pasid %x hwpt %u", cmd.id, cmd.pasid_check.pasid, cmd.pasid_check.hwpt_id);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

/* ---- page requests ---- */

static struct event_fd *free_event_fd(void)
{
	for (unsigned int i = 0; i < EVENT_FDS; i++) {
		if (world->events[i].fd < 0)
			return &world->events[i];
	}
	return NULL;
}

static bool fault_alloc(void)
{
	struct context *ctx = pick_context();
	struct event_fd *event = free_event_fd();
	struct iommu_fault_alloc cmd = { .flags = USUALLY(0, 1) };

	if (in_child || !event)
		return false;
	say(" flags %x", cmd.flags);
	expect_fd_at(offsetof(struct iommu_fault_alloc, out_fault_fd));
	if (CALL(ctx, IOMMU_FAULT_QUEUE_ALLOC, cmd) >= 0) {
		note_id(ctx, FAULT, cmd.out_fault_id);
		*event = (struct event_fd){ .fd = cmd.out_fault_fd, .is_fault = true };
	}
	say_line();
	return true;
}

static bool trigger_iopf(void)
{
	struct context *ctx = pick_context();
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_TRIGGER_IOPF };

	cmd.trigger_iopf.dev_id = pick_id(ctx, IDEV);
	cmd.trigger_iopf.pasid = PICK(0, 0, 0, 1, 2, 100);
	cmd.trigger_iopf.grpid = pick(3);
	cmd.trigger_iopf.perm = pick(16);
	cmd.trigger_iopf.addr = pick_iova(ctx);
	say(" dev %u pasid %x grp %u perm %x addr %llx", cmd.trigger_iopf.dev_id,
	    cmd.trigger_iopf.pasid, cmd.trigger_iopf.grpid, cmd.trigger_iopf.perm,
	    (ull)cmd.trigger_iopf.addr);
	CALL(ctx, IOMMU_TEST_CMD, cmd);
	say_line();
	return true;
}

static void read_events(struct event_fd *event)
{
	size_t count = event->is_fault ? PICK(0, 40, 40, 80, 120, 20, 41) :
					 PICK(0, 7, 8, 11, 12, 12, 24, 30, 100);
	uint64_t at = data_arg(NULL, count);
	ssize_t n;

	say(" read %u count %zu at %llx", (unsigned int)(event - world->events), count, (ull)at);
	n = read(event->fd, (void *)at, count);
	say(" = %ld", n < 0 ? (long)-errno : (long)n);
	for (ssize_t i = 0; event->is_fault && i + 40 <= n; i += 40) {
		const struct iommu_hwpt_pgfault *fault = (void *)(at + i);

		event->cookies[event->n_cookies++ % COOKIES] = fault->cookie;
	}
	say_data();
	say_line();
}

static void write_responses(struct event_fd *event)
{
	struct iommu_hwpt_page_response responses[2];
	size_t count = USUALLY(PICK(8, 8, 16), 0, 4, 9);
	uint64_t at;
	ssize_t n;

	for (unsigned int i = 0; i < 2; i++) {
		responses[i].cookie = chance(85) ? event->cookies[pick(COOKIES)] : pick(4);
		responses[i].code = USUALLY(pick(2), 2, UINT32_MAX);
	}
	at = data_arg(responses, count);
	say(" write %u count %zu %u/%x %u/%x at %llx",
	    (unsigned int)(event - world->events), count, responses[0].cookie,
	    responses[0].code, responses[1].cookie, responses[1].code, (ull)at);
	n = write(event->fd, (void *)at, count);
	say(" = %ld", n < 0 ? (long)-errno : (long)n);
	say_line();
}

static bool use_event_fd(void)
{
	struct event_fd *event = &world->events[pick(EVENT_FDS)];
	struct pollfd poll_fd = { .fd = event->fd, .events = POLLIN | POLLOUT };

	if (in_child || event->fd < 0)
		return false;
	if (chance(50)) {
		read_events(event);
	} else if (chance(60)) {
		write_responses(event);
	} else if (chance(80)) {
		say(" poll %u", (unsigned int)(event - world->events));
		say(" %d", poll(&poll_fd, 1, 0));
		say(" %x", poll_fd.revents);
		say_line();
	} else if (chance(50)) {
		say(" seek %u", (unsigned int)(event - world->events));
		say_result(lseek(event->fd, 0, SEEK_SET));
	} else {
		say(" close %u", (unsigned int)(event - world->events));
		say_result(close(event->fd));
		event->fd = -1;
	}
	return true;
}

const struct step device_steps[] = {
	{ "device", 24, mock_domain },
	{ "replace", 36, replace },
	{ "hw_info", 12, hw_info },
	{ "hwpt", 36, hwpt_alloc },
	{ "nested", 34, nested_alloc },
	{ "invalidate", 22, invalidate },
	{ "iotlb", 8, check_iotlb },
	{ "cache", 8, check_cache },
	{ "pasid", 30, pasid_attach },
	{ "pasid_detach", 14, pasid_detach },
	{ "pasid_check", 14, pasid_check },
	{ "fault", 12, fault_alloc },
	{ "iopf", 24, trigger_iopf },
	{ "events", 40, use_event_fd },
	{ NULL, 0, NULL },
};
