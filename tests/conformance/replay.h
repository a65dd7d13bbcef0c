/* SPDX-License-Identifier: MIT */
/*
 * What the parts of replay share.  A seed decides every call, so two systems
 * that behave alike give the same text; there is nothing else to compare.
 *
 * Whatever decides the next call is in struct world, which lives in memory
 * shared with forked children: it does not matter who makes the call.
 */
#ifndef TESTS_CONFORMANCE_REPLAY_H
#define TESTS_CONFORMANCE_REPLAY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>
#include <iommufd/uapi/vfio.h>

#define PAGE 4096ULL
#define UMAX UINT64_MAX

/* Memory with a place of its own, so that addresses print the same everywhere. */
#define ARG_AT 0x10000000ULL /* command structures: two pages, then nothing */
#define ARG_READONLY 0x10800000ULL
#define DATA_AT 0x11000000ULL /* what structures point to: four pages, then nothing */
#define DATA_SIZE (4 * PAGE)
#define WORLD_AT 0x12000000ULL
#define NOWHERE 0x18000000ULL
#define SHARED_AT 0x20000000ULL
#define PRIVATE_AT 0x21000000ULL
#define READONLY_AT 0x22000000ULL
#define NO_ACCESS_AT 0x23000000ULL
#define HOLEY_AT 0x24000000ULL /* 8 pages, the fifth comes later */
#define FILE_AT 0x25000000ULL /* the first file */
#define BIG_AT 0x30000000ULL /* a file of its own, nothing of it there yet */
#define BUFFER_PAGES 32
#define FILE_PAGES 16
#define BIG_PAGES 1600 /* more than three large pages */

enum kind { IOAS, HWPT, STDEV, IDEV, NESTED, FAULT, VIOMMU, VDEVICE, VEVENTQ, HW_QUEUE, DIRTY_HWPT,
	    PASID_HWPT, KINDS };

#define CONTEXTS 2
#define IDS 12
#define AREAS 16
#define PASIDS 16
#define FILES 6
#define ACCESSES 6
#define EVENT_FDS 6
#define COOKIES 4
#define ODD_FILES 11
#define ODD_ALIASES 4 /* are the first file */
#define ODD_SEALED 4 /* and the next are sealed against writing */

struct area {
	uint32_t ioas;
	uint64_t iova, length, va; /* va 0: not known */
};

/* What a context is believed to have.  A hint: calls may well know better. */
struct context {
	int fd; /* -1 closed */
	bool charges_mm;
	uint32_t ids[KINDS][IDS];
	unsigned int n_ids[KINDS];
	uint32_t dead_id;
	struct area areas[AREAS];
	unsigned int n_areas;
	/* exact: Linux wants them gone before the device is */
	struct {
		uint32_t stdev, pasid;
	} pasids[PASIDS];
	unsigned int n_pasids;
	/* Linux's mock IOMMU confuses the slots when a second queue goes first */
	uint32_t second_queues[PASIDS];
	unsigned int n_second_queues;
};

struct access {
	int fd; /* -1 none */
	struct context *ctx;
	uint32_t ioas;
	bool pins;
	uint32_t next_pin;
};

/* The file of a fault queue or of a vevent queue. */
struct event_fd {
	int fd; /* -1 none */
	bool is_fault;
	uint32_t cookies[COOKIES];
	unsigned int n_cookies;
};

struct world {
	uint64_t rng;
	unsigned int calls;
	/* of this seed */
	bool small_pages; /* each ioas without large entries: dirty bits are exact */
	bool devices; /* the commands on devices as well */
	bool unprivileged;
	bool no_access; /* memory without access is mapped, but not read */
	bool big_tables; /* page tables of 4 KiB and 1 MiB pages as well */
	bool hole_closed;
	bool changed_hands; /* some CHANGE_PROCESS succeeded */
	struct context contexts[CONTEXTS];
	struct access accesses[ACCESSES];
	struct event_fd events[EVENT_FDS];
	int files[FILES]; /* memfds, others, then dma-bufs */
	int big_file;
	int odd_files[ODD_FILES]; /* opened in another way, or no memory at all */
	uint64_t mmap_offset, mmap_length; /* a vIOMMU's page */
	void *mapped; /* where it is mapped */
};

extern struct world *const world;
extern bool in_child; /* children make no descriptors: they would be theirs */

/* ---- chance (replay.c) ---- */

uint64_t random_u64(void);
unsigned int pick(unsigned int n); /* 0..n-1 */
bool chance(unsigned int percent);
#define PICK(...) pick_value((const uint64_t[]){ __VA_ARGS__ }, \
			     sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
uint64_t pick_value(const uint64_t *values, unsigned int n);
/* usually @usual, seldom one of the others */
#define USUALLY(usual, ...) (chance(93) ? (uint64_t)(usual) : PICK(__VA_ARGS__))

/* ---- the world (replay_world.c) ---- */

bool privileged(void);
bool others_exist(void);
void privileges_set(bool ipc_lock, bool resource);
void memlock_set(unsigned int pages);
void world_build(uint64_t seed);
void world_close(void);
struct context *pick_context(void);
void context_open(struct context *ctx, const char *path, int flags);
void context_close(struct context *ctx);
uint32_t pick_id(struct context *ctx, enum kind kind);
bool lacks(const struct context *ctx, enum kind kind); /* mostly no use in asking for one */
void note_id(struct context *ctx, enum kind kind, uint32_t id);
void forget_id(struct context *ctx, uint32_t id);
bool must_stay(const struct context *ctx, uint32_t id); /* Linux could not do without it */
void note_pasid(struct context *ctx, uint32_t stdev, uint32_t pasid, bool attached);
struct area *pick_area(struct context *ctx);
struct area *pick_area_of(struct context *ctx, uint32_t ioas); /* rather of this one */
void forget_area(struct context *ctx, uint32_t ioas, uint64_t iova, uint64_t length);
void note_area(struct context *ctx, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t va);
uint64_t pick_iova(struct context *ctx);
uint64_t pick_length(void);
uint64_t pick_va(void);

const char *fd_name(int fd); /* their numbers are not part of the comparison */

/* ---- making and telling calls (replay.c) ---- */

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_result(long rc); /* and errno; ends the line */
void say_line(void);

/*
 * One ioctl with @cmd, whose first word becomes its size, usually as it is and
 * sometimes shorter, longer, or at a bad address.  Tells the result and each
 * word that changed.
 */
long call(int fd, unsigned long number, void *cmd, size_t size);
long call_plainly(int fd, unsigned long number, void *cmd, size_t size);
#define CALL(ctx, number, cmd) call((ctx)->fd, number, &(cmd), sizeof(cmd))

/* Memory a structure points to, holding @len bytes of @content or a pattern. */
uint64_t data_arg(const void *content, size_t len);
void say_data(void); /* what has changed in it */
/* The word at this offset is a new descriptor, if the next call succeeds. */
#define FD_IS_RESULT -1
void expect_fd_at(int offset);
uint32_t hash(const void *data, size_t len);

/* ---- the calls ---- */

struct step {
	const char *name;
	unsigned int weight;
	bool (*make)(void); /* false: not now, choose another */
};

extern const struct step memory_steps[]; /* end with a NULL name */
extern const struct step access_steps[];
extern const struct step vfio_steps[];
extern const struct step device_steps[];
extern const struct step viommu_steps[];
extern const struct step process_steps[];

void helper_end(void);
bool step_make(void); /* one of them */
bool mock_domain(void); /* memory needs some as well */
bool hwpt_alloc(void);

#endif
