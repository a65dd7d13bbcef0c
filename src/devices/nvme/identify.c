/* SPDX-License-Identifier: MIT */
/*
 * Identify (1.4, 5.15): the controller, the namespace, and lists of it.
 */
#include <stdio.h>
#include <string.h>

#include "devices/nvme/nvme.h"

#define PAGE_BYTES 4096U
#define MODEL	   "uiommufd NVMe disk"
#define FIRMWARE   "1.0"
#define NQN	   "nqn.2014-08.org.nvmexpress:uuid:"

static void put16(u8 *page, u32 at, u16 value)
{
	memcpy(page + at, &value, sizeof(value));
}

static void put32(u8 *page, u32 at, u32 value)
{
	memcpy(page + at, &value, sizeof(value));
}

static void put64(u8 *page, u32 at, u64 value)
{
	memcpy(page + at, &value, sizeof(value));
}

/* ASCII fields are padded with blanks (1.4, 1.5). */
static void text(u8 *page, u32 at, u32 size, const char *value)
{
	memset(page + at, ' ', size);
	memcpy(page + at, value, MIN(strlen(value), (size_t)size));
}

/* Two disks of one machine are never the same subsystem to a driver, which refuses the second. */
void nvme_serial(const struct nvme *nvme, char ret[NVME_SERIAL + 1])
{
	struct pci_addr addr = nvme->pdev.addr;

	if (nvme->serial[0])
		snprintf(ret, NVME_SERIAL + 1, "%s", nvme->serial);
	else
		snprintf(ret, NVME_SERIAL + 1, "UIOMMUFD%04x%02x%02x", addr.domain, addr.bus,
			 addr.devfn);
}

/* The same each time the disk has the same serial number: FNV-1a over it. */
static u64 unique(const struct nvme *nvme, u64 seed)
{
	u64 hash = 0xcbf29ce484222325ULL ^ seed;
	char serial[NVME_SERIAL + 1];

	nvme_serial(nvme, serial);
	for (const char *c = serial; *c; c++)
		hash = (hash ^ (u8)*c) * 0x100000001b3ULL;
	return hash;
}

static void uuid(const struct nvme *nvme, u8 *ret)
{
	put64(ret, 0, unique(nvme, 1));
	put64(ret, 8, unique(nvme, 2));
	ret[6] = (ret[6] & 0x0f) | 0x40; /* version 4 */
	ret[8] = (ret[8] & 0x3f) | 0x80;
}

static void subsystem_name(const struct nvme *nvme, u8 *page, u32 at)
{
	char name[80];
	u8 id[16];
	int n;

	uuid(nvme, id);
	n = snprintf(name, sizeof(name), NQN);
	for (u32 i = 0; i < sizeof(id); i++)
		n += snprintf(name + n, sizeof(name) - (size_t)n, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
	memcpy(page + at, name, (size_t)n);
}

/* 1.4, figure 247 */
static void controller(const struct nvme *nvme, u8 *page)
{
	char serial[NVME_SERIAL + 1];

	nvme_serial(nvme, serial);
	put16(page, 0, nvme->pdev.desc->vendor);
	put16(page, 2, nvme->pdev.desc->subsystem_vendor);
	text(page, 4, NVME_SERIAL, serial);
	text(page, 24, 40, MODEL);
	text(page, 64, 8, FIRMWARE);
	page[72] = 4;						       /* RAB */
	page[76] = nvme->is_vf ? 0x6 : nvme->desc.sriov_vfs ? 0x2 : 0; /* CMIC: several; VF */
	page[77] = NVME_MDTS;
	put16(page, 78, nvme->cntlid);
	put32(page, 80, NVME_VERSION);
	put32(page, 92, 1U << 8);  /* OAES: namespace attributes */
	page[111] = 1;		   /* an I/O controller */
	put16(page, 256, 1U << 1); /* OACS: format */
	page[258] = 3;		   /* ACL */
	page[259] = NVME_EVENT_SLOTS - 1;
	page[260] = 0x3; /* FRMW: one slot, read only */
	page[261] = 0x6; /* LPA: effects, extended data */
	page[262] = NVME_ERRORS - 1;
	put16(page, 266, 343); /* WCTEMP, kelvin */
	put16(page, 268, 353); /* CCTEMP */
	page[512] = 0x66;
	page[513] = 0x44;
	put32(page, 516, 1); /* NN */
	/* ONCS: compare, DSM, write zeroes, select in Get Features, timestamp */
	put16(page, 520, 0x5d);
	page[525] = 0x7; /* VWC: there is one; flush takes any namespace */
	/* SGLS: any alignment; bit buckets; longer than the data */
	put32(page, 536, 0x1 | 1U << 16 | 1U << 18);
	subsystem_name(nvme, page, 768);
	put16(page, 2048, 900); /* the one power state: 9 W */
}

/* 1.4, figure 245 */
static void namespace(const struct nvme *nvme, u8 *page)
{
	u32 shift;
	u64 blocks;

	nvme_ns_size(nvme->ns, &shift, &blocks);
	put64(page, 0, blocks);
	put64(page, 8, blocks);
	put64(page, 16, blocks);
	page[25] = 1; /* NLBAF: two */
	page[26] = shift != nvme->ns->first_shift;
	page[30] = nvme->is_vf || nvme->desc.sriov_vfs; /* NMIC: shared */
	page[33] = 0x9; /* DLFEAT: zeros when deallocated; write zeroes may deallocate */
	page[99] = nvme->ns->readonly;
	put64(page, 104, unique(nvme, 3));
	put64(page, 112, unique(nvme, 4));
	for (u32 i = 0; i < 2; i++)
		put32(page, 128 + 4 * i, nvme_ns_shift(nvme->ns, i) << 16);
}

/* 1.4, figure 246: NGUID and UUID */
static void descriptors(const struct nvme *nvme, u8 *page)
{
	page[0] = 2;
	page[1] = 16;
	put64(page, 4, unique(nvme, 3));
	put64(page, 12, unique(nvme, 4));
	page[20] = 3;
	page[21] = 16;
	uuid(nvme, page + 24);
}

int nvme_identify(struct nvme *nvme, struct nvme_req *req)
{
	u32 nsid = req->cmd.nsid;
	u8 *page = nvme->buffer;

	memset(page, 0, PAGE_BYTES);
	switch (req->cmd.cdw10 & 0xff) {
	case 0x00:
		if (nsid != NVME_NSID)
			return NVME_SC_INVALID_NS;
		namespace(nvme, page);
		break;
	case 0x01:
		controller(nvme, page);
		break;
	case 0x02: /* those with a higher number, to one page */
		if (nsid >= NVME_NSID_ALL - 1)
			return NVME_SC_INVALID_NS;
		if (nsid < NVME_NSID)
			put32(page, 0, NVME_NSID);
		break;
	case 0x03:
		if (nsid != NVME_NSID)
			return NVME_SC_INVALID_NS;
		descriptors(nvme, page);
		break;
	default:
		return NVME_SC_INVALID_FIELD;
	}
	return nvme_reply(nvme, req, page, PAGE_BYTES);
}
