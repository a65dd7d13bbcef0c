/* SPDX-License-Identifier: MIT */
/*
 * Hardware walkers: what an IOMMU does with a table it knows nothing about but
 * its registers.  They share no code with the room that makes tables (pt), take
 * nothing on trust and can be compared with it: a table may be a guest's, change
 * while it is walked, point anywhere, and the answer is a translation or the fault
 * the hardware would report, after a bounded number of reads.
 *
 * One skeleton (walk_algo.h) is compiled once per format (walk_<format>.c).  Each
 * entry is read once, as one 64-bit word; accessed and dirty marks are set by
 * compare-exchange on the entry that was read, and the walk begins again if it
 * has changed.
 *
 * In a nested walk the addresses in the guest's tables are addresses of the second
 * stage: each table read and each mark goes through it, and so does the result.
 *
 * Context: any thread, no locks.  The memory of the tables has to stay what it is
 * until the walk returns; that is the caller's grace period.
 */
#ifndef WALK_WALK_H
#define WALK_WALK_H

#include <iommufd/driver.h>

#include "base/types.h"

struct mem_space;

enum walk_format {
	WALK_AMDV1,    /* AMD's host table */
	WALK_X86_64,   /* VT-d first stage, AMD v2 */
	WALK_VTD_SS,   /* VT-d second stage */
	WALK_ARM_S1,   /* VMSAv8-64 stage 1 */
	WALK_ARM_S2,   /* and 2 */
	WALK_RISCV,    /* Sv39, Sv48, Sv57 */
	WALK_RISCV_X4, /* second stage of RISC-V */
};

/* ---- registers: struct walk_cfg.flags ---- */

#define WALK_ACCESSED	     BIT_ULL(0)	 /* set accessed marks (HAD, SSADE, HA, SADE) */
#define WALK_DIRTY	     BIT_ULL(1)	 /* set dirty marks; ARM: HD, also needs ACCESSED */
#define WALK_ACCESSED_TABLES BIT_ULL(2)	 /* VT-d SS: accessed marks in table entries too */
#define WALK_ACCESS_FREE     BIT_ULL(3)	 /* ARM: AFFD, an entry without AF is no fault */
#define WALK_WP		     BIT_ULL(4)	 /* x86: write protection binds privileged writes too */
#define WALK_NX		     BIT_ULL(5)	 /* x86: XD means no execution; else it is reserved */
#define WALK_SMEP	     BIT_ULL(6)	 /* x86: the privileged execute no user pages */
#define WALK_SUM	     BIT_ULL(7)	 /* RISC-V: the privileged may access user pages */
#define WALK_PBMT	     BIT_ULL(8)	 /* RISC-V: Svpbmt; else those bits are reserved */
#define WALK_SNOOP	     BIT_ULL(9)	 /* VT-d SS: SNP is known (ECAP.SC); else reserved */
#define WALK_FLAT	     BIT_ULL(10) /* ARM: HAD, rights in table entries are ignored */
#define WALK_LPA2	     BIT_ULL(11) /* ARM: 52 bits with 4 and 16 KiB granules */
#define WALK_UPPER	     BIT_ULL(12) /* ARM stage 1: the table of the upper half (TTB1) */

/**
 * struct walk_cfg - the registers that describe one table
 * @root: address of the top table; in a nested walk one of the second stage
 * @levels: tables on the way to a smallest page.  ARM: 0 follows from @in_lg2, in stage 2 with
 *	as many concatenated roots as allowed
 * @granule_lg2: ARM: 12, 14, 16; others ignore it
 * @in_lg2: width of input addresses; 0: what the levels reach.  Mandatory for ARM
 * @out_lg2: width of output addresses; 0: what the format has
 * @page_sizes: sizes of entries the unit has, of those the format has; 0 all.  VT-d: SSLPS,
 *	FS1GP; RISC-V: without bit 16 no Svnapot
 *
 * Values that make no sense are a fault (WALK_CONFIG), as they come from guests, too.
 */
struct walk_cfg {
	u64 root;
	u64 page_sizes;
	u32 flags;
	u8 format; /* enum walk_format */
	u8 levels;
	u8 granule_lg2;
	u8 in_lg2;
	u8 out_lg2;
};

/**
 * struct walk_mem - the memory tables are in
 * @load: one aligned word; 0, or -EFAULT where there is no memory
 * @cas: exchange it if it is *@old; *@old becomes what was there; 0 or -EFAULT
 * @frames: not NULL: tables are expected in frames of this space, which are read with no call.
 *	For tables of our own software, where the pa of an entry is that of a frame in use.
 * @written: NULL, or told of each address of the second stage that a nested walk may write to: the
 *	access itself, and marks in the guest's tables.  For software that keeps a summary of
 *	its dirty entries
 */
struct walk_mem {
	int (*load)(void *ctx, u64 pa, u64 *ret);
	int (*cas)(void *ctx, u64 pa, u64 *old, u64 value);
	void *ctx;
	struct mem_space *frames;
	void (*written)(void *ctx, u64 addr);
};

/** walk_mem_phys() - physical memory of @space, whatever is there */
struct walk_mem walk_mem_phys(struct mem_space *space);
/** walk_mem_frames() - the same for tables in its frames: faster */
struct walk_mem walk_mem_frames(struct mem_space *space);

/* What is asked: IOMMU_READ, IOMMU_WRITE, and: */
#define WALK_EXEC BIT_ULL(8)  /* to execute */
#define WALK_PRIV BIT_ULL(9)  /* as the privileged */
#define WALK_PEEK BIT_ULL(10) /* mark nothing: to look, or to ask for a translation ahead (ATS) */

/** enum walk_reason - what a walk met, finer than enum iommu_xlat_fault */
enum walk_reason {
	WALK_OK,
	WALK_RANGE,	   /* wider than the table's input, or not canonical */
	WALK_NOT_PRESENT,  /* an entry that is not there */
	WALK_RESERVED,	   /* reserved bits, or a kind of entry its level has not */
	WALK_MISALIGNED,   /* the address of a large entry is not a multiple of its size */
	WALK_ADDRESS_SIZE, /* an address wider than the output */
	WALK_ACCESS_FLAG,  /* not accessed yet, and hardware may not say it is */
	WALK_DIRTY_FLAG,   /* not dirty yet, likewise (RISC-V) */
	WALK_NO_READ,
	WALK_NO_WRITE,
	WALK_NO_EXEC,
	WALK_NO_USER, /* the page is for the privileged, or only for others than these */
	WALK_FETCH,   /* a table is no memory */
	WALK_CONFIG,  /* the registers mean nothing */
	WALK_BUSY,    /* the entries changed all the time */
};

/**
 * struct walk_result - what a walk found
 * @xlat: what the IOTLB wants to know; on a fault only stage2 and fault_addr count.  fault_addr
 *	is the address that stage had to translate
 * @reason: WALK_OK, or what happened at @level of stage @stage
 * @stage: 1 or 2 in a nested walk; 1 in others
 * @level: of the last entry read; 0 is the last level
 * @for_table: stage 2: what failed was a read of a table of stage 1, or (@for_mark) a mark in it
 * @entry, @entry_pa: the last entry read, 0 before the first; in stage 1 of a nested walk
 *	entry_pa is an address of the second stage
 * @exec, @user: the page may be executed; is for unprivileged accesses
 * @loads: entries read, of both stages
 */
struct walk_result {
	struct iommu_xlat xlat;
	enum walk_reason reason;
	u8 stage;
	u8 level;
	bool for_table;
	bool for_mark;
	bool exec;
	bool user;
	u32 loads;
	u64 entry;
	u64 entry_pa;
};

/**
 * walk_translate() - one stage
 * @access: IOMMU_READ, IOMMU_WRITE or both, WALK_*; neither: only rights that need no asking
 * @ret: always filled in
 * Return: @ret->reason in the words of the IOTLB.
 */
enum iommu_xlat_fault walk_translate(const struct walk_cfg *cfg, const struct walk_mem *mem,
				     u64 addr, u32 access, struct walk_result *ret);

/** walk_amdv1() - the same with nothing to choose, for the format most walks are in */
enum iommu_xlat_fault walk_amdv1(const struct walk_cfg *cfg, const struct walk_mem *mem, u64 addr,
				 u32 access, struct walk_result *ret);

/**
 * walk_nested() - two stages
 * @s1: the guest's table; NULL: the guest's stage is off, @addr is one of the second stage
 * @s2: the parent's
 * @mem: where the tables of @s2 are, and of @s1 behind it
 *
 * The page found is the smaller of both, rights are those both give.
 */
enum iommu_xlat_fault walk_nested(const struct walk_cfg *s1, const struct walk_cfg *s2,
				  const struct walk_mem *mem, u64 addr, u32 access,
				  struct walk_result *ret);

/** walk_fault() - the word of the IOTLB for @reason */
enum iommu_xlat_fault walk_fault(enum walk_reason reason);

/** walk_reason_name() - for messages */
const char *walk_reason_name(enum walk_reason reason);

#endif
