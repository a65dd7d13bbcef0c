/* SPDX-License-Identifier: MIT */
/*
 * The world of a random program: a system with the mock IOMMU, this process as
 * its program, and everything made so far -- contexts, ids, descriptors,
 * mappings, memory -- in small tables to choose from.
 *
 * Tables are rings of a few slots.  What a new entry pushes out is closed or
 * destroyed, so a world stays small however long it runs; what was destroyed
 * otherwise stays in its slot, so recently dead ids are used as often as live
 * ones are.  Slots are atomics without any order: threads pick from them while
 * others change them, and who meets a number that no longer is what it was has
 * met what the library must stand.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdatomic.h>

#include <iommufd/ctx.h>
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>

#include "choice.h"

/* What ids stand for, as far as a program knows. */
enum kind {
	KIND_IOAS,
	KIND_HWPT,
	KIND_STDEV,
	KIND_DEVICE,
	KIND_FAULT,
	KIND_VIOMMU,
	KIND_VDEVICE,
	KIND_VEVENTQ,
	KIND_HW_QUEUE,
	KIND_COUNT,
};

/* Descriptors of the library beside contexts. */
enum fd_kind {
	FD_ACCESS,
	FD_FAULT,
	FD_VEVENTQ,
	FD_DMABUF,
	FD_COUNT,
};

#define WORLD_CONTEXTS 3
#define WORLD_RING 6
#define WORLD_FILES 3
#define WORLD_CALLERS 32

/* The program's memory: chunks that come, go and change; and what surrounds them. */
#define CHUNK_SIZE (8 * PAGE_SIZE)
#define CHUNKS 24
#define ARENA_SIZE (CHUNKS * CHUNK_SIZE)
#define SCRATCH_SIZE (16 * PAGE_SIZE)
#define FILE_SIZE (64 * PAGE_SIZE)

/** struct world_ctx - a context and what was made in it */
struct world_ctx {
	_Atomic int fd;
	_Atomic u32 ids[KIND_COUNT][WORLD_RING];
	_Atomic u32 next[KIND_COUNT];
	_Atomic u64 iovas[WORLD_RING]; /* answers of maps */
	_Atomic u64 vas[WORLD_RING];   /* and what was mapped there, if it was memory */
	_Atomic u32 next_iova;
	_Atomic u64 mmap_offset, mmap_length; /* of the newest vIOMMU with a page */
};

/** struct world_map - a mapping of a context's page, owned by who takes it from its slot */
struct world_map {
	void *addr;
	size_t length;
};

/**
 * struct world - see world_begin()
 * @region: address space nobody else gets memory in; @arena and the scratches are in it
 * @files: real memfds, for MAP_FILE and for mapping into the arena
 * @cookies: of page faults that were read, to answer
 * @unsound: the library said so, or a check did
 * @outcome: called after each call if set, with the row's number and the result
 */
struct world {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	struct world_ctx contexts[WORLD_CONTEXTS];
	_Atomic int fds[FD_COUNT][WORLD_RING];
	_Atomic u32 next_fd[FD_COUNT];
	struct world_map *_Atomic maps[WORLD_RING];
	_Atomic u32 next_map;
	_Atomic u32 cookies[WORLD_RING];
	_Atomic u32 next_cookie;
	int files[WORLD_FILES];
	u8 *region;
	u8 *arena;
	_Atomic bool unsound;
	void (*outcome)(void *data, unsigned int row, long rc);
	void *outcome_data;
};

/**
 * struct caller - one thread of the program
 * @scratch: memory of its own for structs and data, with nothing behind it
 * @hostile: this call may get what makes no sense
 * @iova_slot: where pick_iova() found its answer; WORLD_RING: nowhere
 * @doing, @since_ms: the call it is in, for a watchdog; NULL between calls
 */
struct caller {
	struct world *world;
	struct choice choice;
	u8 *scratch;
	bool hostile;
	u32 iova_slot;
	const char *_Atomic doing;
	_Atomic u64 since_ms;
};

/**
 * world_begin() - a system with a context open, and memory to map
 * @frames: layout of physical memory
 * Return: 0, or -1 with the reason on stderr.
 */
int world_begin(struct world *world, enum iommufd_frame_policy frames);
/**
 * world_end() - close and unmap all there is
 * Return: NULL, or what was left behind.
 */
const char *world_end(struct world *world);
/** world_note() - tell @outcome, if there is one */
void world_note(struct world *world, unsigned int row, long rc);
/** world_check() - iommufd_ctx_check() of every context; the fault is printed */
int world_check(struct world *world);

/** caller_init() - @index: below WORLD_CALLERS, one each */
void caller_init(struct caller *caller, struct world *world, unsigned int index);
/** caller_begin(), caller_end() - around whatever must not take for ever */
void caller_begin(struct caller *caller, const char *doing);
void caller_end(struct caller *caller);

/* ---- tables: put pushes something out and ends it; pick may return what is dead ---- */

void world_put_id(struct caller *caller, struct world_ctx *ctx, enum kind kind, u32 id);
void world_put_fd(struct caller *caller, enum fd_kind kind, int fd);
void world_put_map(struct caller *caller, void *addr, size_t length);

struct world_ctx *pick_ctx(struct caller *caller);
/**
 * pick_n() - below @ordinary, or below @limit if the caller is hostile now
 * The pick_ functions say how the numbers are divided.
 */
u32 pick_n(struct caller *caller, u32 ordinary, u32 limit);
/** pick_id() - mostly one of @kind, else of another, or a number that means nothing */
u32 pick_id(struct caller *caller, struct world_ctx *ctx, enum kind kind);
int pick_fd(struct caller *caller, enum fd_kind kind);
u64 pick_iova(struct caller *caller, struct world_ctx *ctx);
/** pick_mapped_va() - the memory mapped at the iova that was picked last */
u64 pick_mapped_va(struct caller *caller, struct world_ctx *ctx);
u64 pick_length(struct caller *caller);
/** pick_va() - mostly a page of the arena */
u64 pick_va(struct caller *caller);
/** pick_pointer() - mostly @good, else one that cannot be used */
u64 pick_pointer(struct caller *caller, const void *good);

/* ---- what a program does ---- */

/* Numbers for outcomes beside the rows of the table. */
enum {
	NOTE_RAW = 64, /* and 7 bits of the command */
	NOTE_READ = 192,
	NOTE_WRITE,
	NOTE_POLL,
	NOTE_MMAP,
	NOTE_MUNMAP,
};

/** call_run() - one ioctl of row @row (below call_count()); returns its result */
long call_run(struct caller *caller, unsigned int row);
unsigned int call_count(void);
const char *call_name(unsigned int row);
/** call_pick() - a row, by the weights of the table */
unsigned int call_pick(struct caller *caller);
/** call_struct() - only lay out the struct of @row for the first context; returns its size */
size_t call_struct(struct caller *caller, unsigned int row);
/** call_raw() - an ioctl with bytes of the choice for a struct, pointers made harmless */
long call_raw(struct caller *caller);

/** act_files(), act_maps(), act_memory() - one step on descriptors, mappings, memory */
void act_files(struct caller *caller);
void act_maps(struct caller *caller);
void act_memory(struct caller *caller);
/** act_contexts() - open, duplicate, close, look up and check contexts */
void act_contexts(struct caller *caller);

/** scene_make() - all kinds of objects around a new device; false if a step failed */
bool scene_make(struct caller *caller);

/** program_step() - any of the above, perhaps with a failure armed */
void program_step(struct caller *caller);

#endif
