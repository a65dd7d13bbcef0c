/* SPDX-License-Identifier: MIT */
/*
 * How IOMMU_TEST_CMD reads in a trace: one row per value of op, whose fields
 * are those of its member of the union.
 */
#include <iommufd/uapi/iommufd_test.h>

#include "host/trace.h"

static const struct trace_name access_create_flags[] = {
	{ MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, "NEEDS_PIN_PAGES" },
	{ 0 },
};
static const struct trace_name access_flags[] = {
	{ MOCK_FLAGS_ACCESS_WRITE, "WRITE" },
	{ MOCK_FLAGS_ACCESS_SYZ, "SYZ" },
	{ 0 },
};
static const struct trace_name rw_flags[] = {
	{ MOCK_ACCESS_RW_WRITE, "WRITE" },
	{ MOCK_ACCESS_RW_SLOW_PATH, "SLOW_PATH" },
	{ MOCK_FLAGS_ACCESS_SYZ, "SYZ" },
	{ 0 },
};
static const struct trace_name device_flags[] = {
	{ MOCK_FLAGS_DEVICE_NO_DIRTY, "NO_DIRTY" },
	{ MOCK_FLAGS_DEVICE_PASID, "PASID" },
	{ 0 },
};

#define T struct iommu_test_cmd
/* A member of the union without the name of the union's member in front. */
#define IN(group, m, k, n)                                                                         \
	{                                                                                          \
		.name = #m, .offset = offsetof(T, group.m), .size = sizeof(((T *)0)->group.m),     \
		.kind = k, .names = n                                                              \
	}
#define DEC(group, m) IN(group, m, TRACE_DEC, NULL)
#define HEX(group, m) IN(group, m, TRACE_HEX, NULL)
#define FD(group, m) IN(group, m, TRACE_SDEC, NULL)
#define FLAGS(group, m, n) IN(group, m, TRACE_FLAGS, n)
#define HEAD TRACE_FIELD(T, size, TRACE_DEC, NULL), TRACE_FIELD(T, id, TRACE_DEC, NULL)

static const struct trace_field add_reserved[] = { HEAD, HEX(add_reserved, start),
						   HEX(add_reserved, length) };
static const struct trace_field mock_domain[] = { HEAD, DEC(mock_domain, out_stdev_id),
						  DEC(mock_domain, out_hwpt_id),
						  DEC(mock_domain, out_idev_id) };
static const struct trace_field check_map[] = { HEAD, HEX(check_map, iova), HEX(check_map, length),
						HEX(check_map, uptr) };
static const struct trace_field check_refs[] = { HEAD, HEX(check_refs, length),
						 HEX(check_refs, uptr), DEC(check_refs, refs) };
static const struct trace_field create_access[] = {
	HEAD, FD(create_access, out_access_fd), FLAGS(create_access, flags, access_create_flags)
};
static const struct trace_field destroy_access[] = { HEAD,
						     DEC(destroy_access_pages, access_pages_id) };
static const struct trace_field access_pages[] = {
	HEAD,
	FLAGS(access_pages, flags, access_flags),
	DEC(access_pages, out_access_pages_id),
	HEX(access_pages, iova),
	HEX(access_pages, length),
	HEX(access_pages, uptr),
};
static const struct trace_field access_rw[] = { HEAD, HEX(access_rw, iova), HEX(access_rw, length),
						HEX(access_rw, uptr),
						FLAGS(access_rw, flags, rw_flags) };
static const struct trace_field memory_limit[] = { HEAD, DEC(memory_limit, limit) };
static const struct trace_field domain_replace[] = { HEAD, DEC(mock_domain_replace, pt_id) };
static const struct trace_field replace_ioas[] = { HEAD, DEC(access_replace_ioas, ioas_id) };
static const struct trace_field domain_flags[] = { HEAD, DEC(mock_domain_flags, out_stdev_id),
						   DEC(mock_domain_flags, out_hwpt_id),
						   DEC(mock_domain_flags, out_idev_id),
						   FLAGS(mock_domain_flags, dev_flags,
							 device_flags) };
static const struct trace_field dirty[] = { HEAD,
					    HEX(dirty, flags),
					    HEX(dirty, iova),
					    HEX(dirty, length),
					    HEX(dirty, page_size),
					    HEX(dirty, uptr),
					    DEC(dirty, out_nr_dirty) };
static const struct trace_field check_iotlb[] = { HEAD, DEC(check_iotlb, id),
						  HEX(check_iotlb, iotlb) };
static const struct trace_field trigger_iopf[] = {
	HEAD, DEC(trigger_iopf, dev_id), DEC(trigger_iopf, pasid), DEC(trigger_iopf, grpid),
	HEX(trigger_iopf, perm), HEX(trigger_iopf, addr)
};
static const struct trace_field check_cache[] = { HEAD, DEC(check_dev_cache, id),
						  HEX(check_dev_cache, cache) };
static const struct trace_field trigger_vevent[] = { HEAD, DEC(trigger_vevent, dev_id) };
static const struct trace_field pasid_attach[] = { HEAD, DEC(pasid_attach, pasid),
						   DEC(pasid_attach, pt_id) };
static const struct trace_field pasid_replace[] = { HEAD, DEC(pasid_replace, pasid),
						    DEC(pasid_replace, pt_id) };
static const struct trace_field pasid_detach[] = { HEAD, DEC(pasid_detach, pasid) };
static const struct trace_field pasid_check[] = { HEAD, DEC(pasid_check, pasid),
						  DEC(pasid_check, hwpt_id) };
static const struct trace_field dmabuf_get[] = { HEAD, HEX(dmabuf_get, length),
						 HEX(dmabuf_get, open_flags) };
static const struct trace_field dmabuf_revoke[] = { HEAD, FD(dmabuf_revoke, dmabuf_fd),
						    DEC(dmabuf_revoke, revoked) };

#define OP(op, table)                                                                              \
	{                                                                                          \
		.cmd = IOMMU_TEST_CMD, .variant = IOMMU_TEST_OP_##op,                              \
		.name = "IOMMU_TEST_CMD, " #op, .size = sizeof(T), .fields = table,                \
		.num_fields = ARRAY_SIZE(table)                                                    \
	}

static const struct trace_cmd ops[] = {
	OP(ADD_RESERVED, add_reserved),
	OP(MOCK_DOMAIN, mock_domain),
	OP(MD_CHECK_MAP, check_map),
	OP(MD_CHECK_REFS, check_refs),
	OP(CREATE_ACCESS, create_access),
	OP(DESTROY_ACCESS_PAGES, destroy_access),
	OP(ACCESS_PAGES, access_pages),
	OP(ACCESS_RW, access_rw),
	OP(SET_TEMP_MEMORY_LIMIT, memory_limit),
	OP(MOCK_DOMAIN_REPLACE, domain_replace),
	OP(ACCESS_REPLACE_IOAS, replace_ioas),
	OP(MOCK_DOMAIN_FLAGS, domain_flags),
	OP(DIRTY, dirty),
	OP(MD_CHECK_IOTLB, check_iotlb),
	OP(TRIGGER_IOPF, trigger_iopf),
	OP(DEV_CHECK_CACHE, check_cache),
	OP(TRIGGER_VEVENT, trigger_vevent),
	OP(PASID_ATTACH, pasid_attach),
	OP(PASID_REPLACE, pasid_replace),
	OP(PASID_DETACH, pasid_detach),
	OP(PASID_CHECK_HWPT, pasid_check),
	OP(DMABUF_GET, dmabuf_get),
	OP(DMABUF_REVOKE, dmabuf_revoke),
};

const struct trace_cmd *trace_cmd_test(u32 op)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (ops[i].variant == op)
			return &ops[i];
	}
	return NULL;
}
