/* SPDX-License-Identifier: MIT */
/*
 * Numbers and layouts of NVM Express, base specification 1.4 ("1.4" below).
 * All fields in memory are little endian.
 */
#ifndef NVME_SPEC_H
#define NVME_SPEC_H

#include "base/types.h"

/* ---- registers (1.4, 3.1) ---- */

#define NVME_REG_CAP	   0x00
#define NVME_REG_VS	   0x08
#define NVME_REG_INTMS	   0x0c
#define NVME_REG_INTMC	   0x10
#define NVME_REG_CC	   0x14
#define NVME_REG_CSTS	   0x1c
#define NVME_REG_NSSR	   0x20
#define NVME_REG_AQA	   0x24
#define NVME_REG_ASQ	   0x28
#define NVME_REG_ACQ	   0x30
#define NVME_REG_END	   0x58 /* of what is not vendor specific or a doorbell */
#define NVME_REG_DOORBELLS 0x1000

#define NVME_VERSION 0x00010400U

#define NVME_CAP_MQES(entries) ((u64)(entries)-1)
#define NVME_CAP_CQR	       BIT_ULL(16)
#define NVME_CAP_TO(half_secs) ((u64)(half_secs) << 24)
#define NVME_CAP_NSSRS	       BIT_ULL(36)
#define NVME_CAP_CSS_NVM       BIT_ULL(37)
#define NVME_CAP_MPSMAX(n)     ((u64)(n) << 52)

#define NVME_CC_EN	   0x1U
#define NVME_CC_CSS(cc)	   ((cc) >> 4 & 7)
#define NVME_CC_MPS(cc)	   ((cc) >> 7 & 0xf)
#define NVME_CC_AMS(cc)	   ((cc) >> 11 & 7)
#define NVME_CC_SHN(cc)	   ((cc) >> 14 & 3)
#define NVME_CC_IOSQES(cc) ((cc) >> 16 & 0xf)
#define NVME_CC_IOCQES(cc) ((cc) >> 20 & 0xf)
#define NVME_CC_MASK	   0x00fffff1U

#define NVME_CSTS_RDY	    0x01U
#define NVME_CSTS_CFS	    0x02U
#define NVME_CSTS_SHST	    0x0cU
#define NVME_CSTS_SHST_BUSY 0x04U
#define NVME_CSTS_SHST_DONE 0x08U
#define NVME_CSTS_NSSRO	    0x10U

#define NVME_NSSR_MAGIC 0x4e564d65U /* "NVMe" */
#define NVME_AQA_MASK	0x0fff0fffU

/* ---- commands and completions (1.4, 4.2 and 4.6) ---- */

struct nvme_cmd {
	u8 opcode;
	u8 flags; /* fused operation 1:0, PSDT 7:6 */
	u16 cid;
	u32 nsid;
	u32 cdw2, cdw3;
	u64 mptr;
	u64 prp1, prp2; /* or one SGL descriptor */
	u32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct nvme_cqe {
	u32 result;
	u32 reserved;
	u16 sq_head;
	u16 sq_id;
	u16 cid;
	u16 status; /* phase 0, status 15:1 */
};

#define NVME_CMD_FUSED(flags) ((flags)&3)
#define NVME_CMD_PSDT(flags)  ((flags) >> 6)

_Static_assert(sizeof(struct nvme_cmd) == 64, "a command");
_Static_assert(sizeof(struct nvme_cqe) == 16, "a completion");

enum {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
	NVME_ADMIN_FORMAT = 0x80,
};

enum {
	NVME_IO_FLUSH = 0x00,
	NVME_IO_WRITE = 0x01,
	NVME_IO_READ = 0x02,
	NVME_IO_COMPARE = 0x05,
	NVME_IO_WRITE_ZEROES = 0x08,
	NVME_IO_DSM = 0x09,
};

/* Status: code 7:0, type 10:8, more 13, do not retry 14 (1.4, 4.6.1); as in the field without the
 * phase. */
#define NVME_SC_MORE 0x2000
#define NVME_SC_DNR  0x4000

enum {
	NVME_SC_SUCCESS = 0x000,
	NVME_SC_INVALID_OPCODE = 0x001 | NVME_SC_DNR,
	NVME_SC_INVALID_FIELD = 0x002 | NVME_SC_DNR,
	NVME_SC_DATA_TRANSFER = 0x004,
	NVME_SC_INTERNAL = 0x006,
	NVME_SC_ABORTED = 0x007,
	NVME_SC_ABORTED_SQ = 0x008,
	NVME_SC_INVALID_NS = 0x00b | NVME_SC_DNR,
	NVME_SC_SEQUENCE = 0x00c | NVME_SC_DNR,
	NVME_SC_SGL_SEGMENT = 0x00d | NVME_SC_DNR,
	NVME_SC_SGL_COUNT = 0x00e | NVME_SC_DNR,
	NVME_SC_SGL_LENGTH = 0x00f | NVME_SC_DNR,
	NVME_SC_SGL_TYPE = 0x011 | NVME_SC_DNR,
	NVME_SC_PRP_OFFSET = 0x013 | NVME_SC_DNR,
	NVME_SC_READ_ONLY = 0x020 | NVME_SC_DNR,
	NVME_SC_LBA_RANGE = 0x080 | NVME_SC_DNR,
	NVME_SC_CAPACITY = 0x081 | NVME_SC_DNR,
	NVME_SC_FORMATTING = 0x084,
	/* command specific (1.4, figure 128) */
	NVME_SC_CQ_INVALID = 0x100 | NVME_SC_DNR,
	NVME_SC_QID = 0x101 | NVME_SC_DNR,
	NVME_SC_QSIZE = 0x102 | NVME_SC_DNR,
	NVME_SC_AER_LIMIT = 0x105,
	NVME_SC_VECTOR = 0x108 | NVME_SC_DNR,
	NVME_SC_LOG_PAGE = 0x109 | NVME_SC_DNR,
	NVME_SC_FORMAT = 0x10a | NVME_SC_DNR,
	NVME_SC_QUEUE_DELETION = 0x10c | NVME_SC_DNR,
	NVME_SC_NOT_SAVEABLE = 0x10d | NVME_SC_DNR,
	NVME_SC_NOT_CHANGEABLE = 0x10e | NVME_SC_DNR,
	/* media (1.4, figure 130) */
	NVME_SC_WRITE_FAULT = 0x280,
	NVME_SC_READ_ERROR = 0x281,
	NVME_SC_COMPARE = 0x285,
};

#define NVME_NSID_ALL 0xffffffffU

/* ---- scatter gather lists (1.4, 4.4) ---- */

struct nvme_sgl {
	u64 addr;
	u32 len;
	u8 reserved[3];
	u8 type; /* sub type 3:0, type 7:4 */
};

enum {
	NVME_SGL_DATA = 0x0,
	NVME_SGL_BIT_BUCKET = 0x1,
	NVME_SGL_SEGMENT = 0x2,
	NVME_SGL_LAST_SEGMENT = 0x3,
};

/* ---- features (1.4, 5.21.1) ---- */

enum {
	NVME_FEAT_ARBITRATION = 0x01,
	NVME_FEAT_POWER = 0x02,
	NVME_FEAT_TEMPERATURE = 0x04,
	NVME_FEAT_ERROR_RECOVERY = 0x05,
	NVME_FEAT_WRITE_CACHE = 0x06,
	NVME_FEAT_QUEUES = 0x07,
	NVME_FEAT_COALESCING = 0x08,
	NVME_FEAT_VECTOR = 0x09,
	NVME_FEAT_ATOMICITY = 0x0a,
	NVME_FEAT_EVENTS = 0x0b,
	NVME_FEAT_TIMESTAMP = 0x0e,
};

/* ---- log pages (1.4, 5.14.1) ---- */

enum {
	NVME_LOG_ERROR = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_CHANGED_NS = 0x04,
	NVME_LOG_EFFECTS = 0x05,
};

/** struct nvme_error_entry - of the error information log (1.4, figure 193) */
struct nvme_error_entry {
	u64 count;
	u16 sq_id;
	u16 cid;
	u16 status;   /* as in a completion, phase included */
	u16 location; /* byte 7:0, bit 10:8; 0xffff: none */
	u64 lba;
	u32 nsid;
	u8 vendor_log;
	u8 transport;
	u8 reserved[2];
	u64 specific;
	u8 reserved2[24];
};
_Static_assert(sizeof(struct nvme_error_entry) == 64, "an error log entry");

/* ---- asynchronous events (1.4, 5.2): type 2:0, information 15:8, log page 23:16 ---- */

#define NVME_EVENT(type, info, page) ((u32)(type) | (u32)(info) << 8 | (u32)(page) << 16)
#define NVME_EVENT_TYPE(event)	     ((event)&7)
#define NVME_EVENT_PAGE(event)	     ((event) >> 16 & 0xff)

#define NVME_EVENT_BAD_DOORBELL NVME_EVENT(0, 0, NVME_LOG_ERROR)
#define NVME_EVENT_BAD_VALUE	NVME_EVENT(0, 1, NVME_LOG_ERROR)
#define NVME_EVENT_INTERNAL	NVME_EVENT(0, 3, NVME_LOG_ERROR)
#define NVME_EVENT_RELIABILITY	NVME_EVENT(1, 0, NVME_LOG_SMART)
#define NVME_EVENT_TEMPERATURE	NVME_EVENT(1, 1, NVME_LOG_SMART)
#define NVME_EVENT_SPARE	NVME_EVENT(1, 2, NVME_LOG_SMART)
#define NVME_EVENT_NS_CHANGED	NVME_EVENT(2, 0, NVME_LOG_CHANGED_NS)

#endif
