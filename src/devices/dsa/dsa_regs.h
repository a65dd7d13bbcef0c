/* SPDX-License-Identifier: MIT */
/*
 * Registers, descriptors and completion records of Intel's Data Streaming Accelerator
 * (Intel DSA Architecture Specification 341204; "DSA" and a section below).
 * All little endian.
 */
#ifndef DEVICES_DSA_REGS_H
#define DEVICES_DSA_REGS_H

#include "base/types.h"

/* ---- BAR0: registers (DSA 9.2) ---- */

#define DSA_REG_VERSION	  0x00
#define DSA_REG_GENCAP	  0x10
#define DSA_REG_WQCAP	  0x20
#define DSA_REG_GRPCAP	  0x30
#define DSA_REG_ENGCAP	  0x38
#define DSA_REG_OPCAP	  0x40 /* 256 bits */
#define DSA_REG_OFFSETS	  0x60 /* 128 bits */
#define DSA_REG_GENCFG	  0x80
#define DSA_REG_GENCTRL	  0x88
#define DSA_REG_GENSTS	  0x90
#define DSA_REG_INTCAUSE  0x98
#define DSA_REG_CMD	  0xa0
#define DSA_REG_CMDSTS	  0xa8
#define DSA_REG_CMDCAP	  0xb0
#define DSA_REG_SWERR	  0xc0 /* 256 bits */
#define DSA_REG_SWERR_END 0xe0

/* Where this model has its tables; OFFSETS says so in units of DSA_TABLE_UNIT. */
#define DSA_TABLE_UNIT	0x100
#define DSA_GRPCFG	0x1000
#define DSA_GRPCFG_SIZE 0x40
#define DSA_MSIXPERM	0x2000
#define DSA_WQCFG	0x3000
#define DSA_WQCFG_SIZE	0x40
#define DSA_PERFMON	0x4000 /* capability 0: none */
#define DSA_MSIX_TABLE	0x8000
#define DSA_MSIX_PBA	0x9000
#define DSA_BAR0_SIZE	0x10000

#define DSA_MAX_WQS	64
#define DSA_MAX_ENGINES 16
#define DSA_MAX_GROUPS	16
#define DSA_MAX_VECTORS (DSA_MAX_WQS + 1)

/* GENCAP (9.2.2) */
#define DSA_GENCAP_BLOCK_ON_FAULT BIT_ULL(0)
#define DSA_GENCAP_OVERLAP	  BIT_ULL(1)
#define DSA_GENCAP_CACHE_CONTROL  (3ULL << 2)
#define DSA_GENCAP_COMMAND_CAP	  BIT_ULL(4)
#define DSA_GENCAP_DEST_READBACK  BIT_ULL(8)
#define DSA_GENCAP_DRAIN_READBACK BIT_ULL(9)
#define DSA_GENCAP_MAX_XFER(n)	  ((u64)(n) << 16)
#define DSA_GENCAP_MAX_BATCH(n)	  ((u64)(n) << 21)
#define DSA_GENCAP_CONFIG	  BIT_ULL(31)

/* WQCAP (9.2.3) */
#define DSA_WQCAP_NUM(n)    ((u64)(n) << 16)
#define DSA_WQCAP_CFGSIZE   (1ULL << 24) /* 2 ^ (5 + 1) bytes */
#define DSA_WQCAP_SHARED    BIT_ULL(48)
#define DSA_WQCAP_DEDICATED BIT_ULL(49)
#define DSA_WQCAP_PRIORITY  BIT_ULL(51)
#define DSA_WQCAP_OCCUPANCY BIT_ULL(52)
#define DSA_WQCAP_OPCONFIG  BIT_ULL(54)

#define DSA_GRPCAP_RDBUFS(n) ((u64)(n) << 8)

/* GENCTRL (9.2.8): which causes may interrupt */
#define DSA_GENCTRL_SWERR BIT_ULL(0)
#define DSA_GENCTRL_HALT  BIT_ULL(1)

/* GENSTS (9.2.9) */
enum dsa_state {
	DSA_DISABLED,
	DSA_ENABLED,
	DSA_DRAINING,
	DSA_HALTED,
};

/* INTCAUSE (9.2.10) */
#define DSA_CAUSE_SWERR	  BIT_ULL(0)
#define DSA_CAUSE_COMMAND BIT_ULL(1)
#define DSA_CAUSE_HALT	  BIT_ULL(4)

/* CMD (9.2.11): operand 19:0, command 24:20, interrupt 31 */
#define DSA_CMD_OPERAND(v) ((v)&0xfffff)
#define DSA_CMD_CODE(v)	   ((v) >> 20 & 0x1f)
#define DSA_CMD_IRQ	   BIT_ULL(31)
enum dsa_cmd {
	DSA_CMD_ENABLE = 1,
	DSA_CMD_DISABLE,
	DSA_CMD_DRAIN_ALL,
	DSA_CMD_ABORT_ALL,
	DSA_CMD_RESET,
	DSA_CMD_ENABLE_WQ,
	DSA_CMD_DISABLE_WQ,
	DSA_CMD_DRAIN_WQ,
	DSA_CMD_ABORT_WQ,
	DSA_CMD_RESET_WQ,
	DSA_CMD_DRAIN_PASID,
	DSA_CMD_ABORT_PASID,
};
#define DSA_CMDCAP 0x1ffeU /* all of them; no interrupt handles */

/* CMDSTS (9.2.12): error 7:0, active 31 */
#define DSA_CMDSTS_ACTIVE BIT_ULL(31)
enum dsa_cmdsts {
	DSA_CMD_OK = 0,
	DSA_CMD_BAD_COMMAND = 1,
	DSA_CMD_BAD_WQ = 2,
	DSA_CMD_DEV_ENABLED = 0x10,
	DSA_CMD_NO_BUS_MASTER = 0x12,
	DSA_CMD_WQ_SIZES = 0x14,
	DSA_CMD_GROUP_HALF = 0x15,   /* work queues without an engine or the reverse */
	DSA_CMD_GROUP_WQ = 0x16,     /* a queue in two groups, or with a size and in none */
	DSA_CMD_GROUP_ENGINE = 0x17, /* an engine in two groups */
	DSA_CMD_GROUP_FLAGS = 0x18,  /* read buffers */
	DSA_CMD_DEV_NOT_ENABLED = 0x20,
	DSA_CMD_WQ_ENABLED = 0x21,
	DSA_CMD_WQ_SIZE = 0x22,
	DSA_CMD_WQ_PRIORITY = 0x23,
	DSA_CMD_WQ_MODE = 0x24,
	DSA_CMD_WQ_BLOCK = 0x25,
	DSA_CMD_WQ_PASID = 0x26,
	DSA_CMD_WQ_BATCH = 0x27,
	DSA_CMD_WQ_XFER = 0x28,
	DSA_CMD_DISABLE_NOT_ENABLED = 0x31,
	DSA_CMD_WQ_NOT_ENABLED = 0x32,
};

/* SWERR (9.2.14), the low quad word; then batch index 15:0 and invalid flags 63:32; address; 0 */
#define DSA_SWERR_VALID	    BIT_ULL(0)
#define DSA_SWERR_OVERFLOW  BIT_ULL(1)
#define DSA_SWERR_DESC	    BIT_ULL(2)
#define DSA_SWERR_WQ	    BIT_ULL(3)
#define DSA_SWERR_BATCH	    BIT_ULL(4)
#define DSA_SWERR_WRITE	    BIT_ULL(5)
#define DSA_SWERR_PRIV	    BIT_ULL(6)
#define DSA_SWERR_ERROR(n)  ((u64)(u8)(n) << 8)
#define DSA_SWERR_WQ_IDX(n) ((u64)(u8)(n) << 16)
#define DSA_SWERR_OP(n)	    ((u64)(u8)(n) << 32)
#define DSA_SWERR_PASID(n)  ((u64)((n)&0xfffff) << 40)
/* Errors of portals; the numbers are this model's. */
#define DSA_SWERR_PORTAL_DISABLED 0x51
#define DSA_SWERR_PORTAL_FULL	  0x52
#define DSA_SWERR_PORTAL_SIZE	  0x53

/* WQCFG (9.2.18), by dword */
#define DSA_WQ_DEDICATED      BIT_ULL(0) /* dword 2 */
#define DSA_WQ_BLOCK	      BIT_ULL(1)
#define DSA_WQ_PRIORITY(v)    ((v) >> 4 & 0xf)
#define DSA_WQ_PASID(v)	      ((v) >> 8 & 0xfffff)
#define DSA_WQ_PASID_EN	      BIT_ULL(28)
#define DSA_WQ_PRIV	      BIT_ULL(29)
#define DSA_WQ_XFER_SHIFT(v)  ((v)&0x1f) /* dword 3 */
#define DSA_WQ_BATCH_SHIFT(v) ((v) >> 5 & 0xf)
#define DSA_WQ_STATE(n)	      ((u32)(n) << 30) /* dword 6 */
#define DSA_WQ_OPCONFIG	      8		       /* dwords 8 to 15 */

/* MSIXPERM (9.2.17), 8 bytes an entry */
#define DSA_PERM_IGNORE	  BIT_ULL(2)
#define DSA_PERM_PASID_EN BIT_ULL(3)
#define DSA_PERM_PASID(v) ((v) >> 12 & 0xfffff)

/* ---- BAR2: portals, 4 pages a work queue (DSA 9.3) ---- */

#define DSA_PORTAL_PAGE	 0x1000
#define DSA_PORTAL_PAGES 4
/* Of a queue's pages: bit 0 limited (to the threshold), bit 1 with IMS interrupts. */
#define DSA_PORTAL_LIMITED 1
#define DSA_PORTAL_IMS	   2

/* ---- descriptors (DSA 8.1) ---- */

enum dsa_opcode {
	DSA_OP_NOOP = 0,
	DSA_OP_BATCH = 1,
	DSA_OP_DRAIN = 2,
	DSA_OP_MOVE = 3,
	DSA_OP_FILL = 4,
	DSA_OP_COMPARE = 5,
	DSA_OP_COMPARE_PATTERN = 6,
	DSA_OP_DELTA_CREATE = 7,
	DSA_OP_DELTA_APPLY = 8,
	DSA_OP_DUALCAST = 9,
	DSA_OP_CRC = 0x10,
	DSA_OP_COPY_CRC = 0x11,
	DSA_OP_CACHE_FLUSH = 0x20,
};
#define DSA_OPCAP                                                                                  \
	(BIT_ULL(DSA_OP_NOOP) | BIT_ULL(DSA_OP_BATCH) | BIT_ULL(DSA_OP_DRAIN) |                    \
	 BIT_ULL(DSA_OP_MOVE) | BIT_ULL(DSA_OP_FILL) | BIT_ULL(DSA_OP_COMPARE) |                   \
	 BIT_ULL(DSA_OP_COMPARE_PATTERN) | BIT_ULL(DSA_OP_DELTA_CREATE) |                          \
	 BIT_ULL(DSA_OP_DELTA_APPLY) | BIT_ULL(DSA_OP_DUALCAST) | BIT_ULL(DSA_OP_CRC) |            \
	 BIT_ULL(DSA_OP_COPY_CRC) | BIT_ULL(DSA_OP_CACHE_FLUSH))

/* Flags (8.1.3); 23:16 are the operation's */
#define DSA_FLAG_FENCE	     0x000001U
#define DSA_FLAG_BLOCK	     0x000002U
#define DSA_FLAG_RECORD_OK   0x000004U /* the completion record address is valid */
#define DSA_FLAG_RECORD	     0x000008U /* wanted on success too */
#define DSA_FLAG_IRQ	     0x000010U
#define DSA_FLAG_CHECK	     0x000080U
#define DSA_FLAG_CACHE	     0x000100U
#define DSA_FLAG_TC1	     0x000200U
#define DSA_FLAG_TC2	     0x000400U
#define DSA_FLAG_TC3	     0x000800U
#define DSA_FLAG_TC_RECORD   0x001000U
#define DSA_FLAG_STRICT	     0x002000U
#define DSA_FLAG_READBACK    0x004000U
#define DSA_FLAG_DRAIN1	     0x010000U /* of drain: the readback addresses are valid */
#define DSA_FLAG_DRAIN2	     0x020000U
#define DSA_FLAG_CRC_SEED    0x010000U /* of CRC: the seed is in memory */
#define DSA_FLAG_CRC_RAW     0x020000U /* of CRC: do not invert and reflect it */
#define DSA_FLAG_CRC_DATARAW 0x040000U /* of CRC: do not reflect data */

/**
 * struct dsa_desc - a descriptor
 * @trusted: PASID 19:0, privileged 31
 * @opflags: flags 23:0, opcode 31:24
 * @record: where the completion record goes
 * @src: or the pattern, the descriptor list, the delta record, a readback address
 * @dst: or the second source, the pattern to compare with
 */
struct dsa_desc {
	u32 trusted;
	u32 opflags;
	u64 record;
	u64 src;
	u64 dst;
	u32 size;
	u16 handle;
	u16 reserved;
	union {
		u8 expected; /* compare */
		struct {
			u64 addr;
			u32 max;
			u32 zero;
			u8 expected;
		} delta;
		u32 delta_size;
		u64 dst2;
		struct {
			u32 seed;
			u32 zero;
			u64 addr;
		} crc;
		u8 bytes[24];
	} op;
};
_Static_assert(sizeof(struct dsa_desc) == 64, "a descriptor has 64 bytes");

#define DSA_DESC_OP(d)	  ((u8)((d)->opflags >> 24))
#define DSA_DESC_FLAGS(d) ((d)->opflags & 0xffffff)
#define DSA_DESC_PASID(d) ((d)->trusted & 0xfffff)
#define DSA_DESC_PRIV	  BIT_ULL(31)

/** struct dsa_record - a completion record (8.2) */
struct dsa_record {
	u8 status;
	u8 result;
	u16 zero;
	u32 completed;
	u64 fault;
	union {
		u32 invalid_flags;
		u32 delta_size;
		u64 crc;
		u8 bytes[16];
	} op;
};
_Static_assert(sizeof(struct dsa_record) == 32, "a completion record has 32 bytes");

enum dsa_status {
	DSA_OK = 1,
	DSA_OK_FALSE = 2, /* but not the expected result */
	DSA_PAGE_FAULT = 3,
	DSA_PAGE_REFUSED = 4, /* a page request's answer */
	DSA_BATCH_FAILED = 5,
	DSA_BATCH_FAULT = 6,
	DSA_DELTA_ORDER = 7,
	DSA_DELTA_RANGE = 8,
	DSA_BAD_OPCODE = 0x10,
	DSA_BAD_FLAGS = 0x11,
	DSA_NOT_ZERO = 0x12,
	DSA_BAD_SIZE = 0x13,
	DSA_BAD_COUNT = 0x14,
	DSA_BAD_DELTA = 0x15,
	DSA_OVERLAPS = 0x16,
	DSA_BAD_DUALCAST = 0x17,
	DSA_BAD_LIST = 0x18,
	DSA_BAD_HANDLE = 0x19,
	DSA_RECORD_FAULT = 0x1a,
	DSA_RECORD_ALIGN = 0x1b,
	DSA_BAD_ALIGN = 0x1c,
	DSA_BAD_PRIV = 0x1d,
	DSA_READBACK_FAULT = 0x1f,
	DSA_HW_ERROR = 0x20,
	DSA_NO_TRANSLATION = 0x22,
};
#define DSA_STATUS_WRITE 0x80 /* a page fault: of a write */

#define DSA_LIST_ALIGN	       64
#define DSA_RECORD_ALIGN_BYTES 32
#define DSA_DELTA_ENTRY	       10	  /* bytes: an offset of 2 in units of 8, and 8 of data */
#define DSA_DELTA_XFER	       (1U << 19) /* what 16 bits of offset reach */

#endif
