/* SPDX-License-Identifier: MIT */
/*
 * Starting a program with the core preloaded: find our library, put it into
 * LD_PRELOAD, the options beside it, and become the program.
 *
 * A sanitizer's runtime insists on being the first library of a process, which
 * a preloaded one would take from it.  So the libraries that the program and
 * ours are linked with are looked at, and a runtime among them goes in front.
 */
#include "host/preload/launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libuiommufd-preload.so"

#define EXIT_NO_PRELOAD 125
#define EXIT_NO_EXEC 126
#define EXIT_NO_PROGRAM 127

#define say(opts, ...) log_line(&(opts)->log, IOMMUFD_LOG_ERROR, __VA_ARGS__)

/* ---- what an executable is linked with ---- */

/** struct image - an ELF file in memory, not trusted */
struct image {
	const char *base;
	size_t size;
};

static const void *image_at(const struct image *image, u64 offset, u64 len)
{
	if (offset > image->size || len > image->size - offset)
		return NULL;
	return image->base + offset;
}

static const Elf64_Phdr *image_segment(const struct image *image, u32 type, u64 vaddr)
{
	const Elf64_Ehdr *head = image_at(image, 0, sizeof(*head));
	const Elf64_Phdr *segments;

	if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
	    head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_phentsize != sizeof(*segments))
		return NULL;
	segments = image_at(image, head->e_phoff, (u64)head->e_phnum * sizeof(*segments));
	for (u32 i = 0; segments && i < head->e_phnum; i++) {
		if (segments[i].p_type == type &&
		    (type != PT_LOAD || vaddr - segments[i].p_vaddr < segments[i].p_filesz))
			return &segments[i];
	}
	return NULL;
}

/* The terminated string at @vaddr + @offset, or NULL. */
static const char *image_string(const struct image *image, u64 vaddr, u64 offset)
{
	const Elf64_Phdr *load = image_segment(image, PT_LOAD, vaddr);
	const char *text;
	u64 at;

	if (!load)
		return NULL;
	at = load->p_offset + (vaddr - load->p_vaddr) + offset;
	text = image_at(image, at, 1);
	return text && memchr(text, 0, image->size - at) ? text : NULL;
}

static const char *runtime_of_image(const struct image *image)
{
	static const char *const runtimes[] = { "libasan.so", "libtsan.so", "libclang_rt." };
	const Elf64_Phdr *segment = image_segment(image, PT_DYNAMIC, 0);
	const Elf64_Dyn *entries = NULL;
	u64 strings = 0;
	u64 n = 0;

	if (segment) {
		n = segment->p_filesz / sizeof(*entries);
		entries = image_at(image, segment->p_offset, n * sizeof(*entries));
	}
	for (u64 i = 0; entries && i < n; i++) {
		if (entries[i].d_tag == DT_STRTAB)
			strings = entries[i].d_un.d_ptr;
	}
	for (u64 i = 0; entries && i < n && entries[i].d_tag != DT_NULL; i++) {
		const char *library;

		if (entries[i].d_tag != DT_NEEDED)
			continue;
		library = image_string(image, strings, entries[i].d_un.d_val);
		for (size_t r = 0; library && r < ARRAY_SIZE(runtimes); r++) {
			if (!strncmp(library, runtimes[r], strlen(runtimes[r])))
				return library;
		}
	}
	return NULL;
}

/* Return: 0, or -errno if it cannot be read; a script is an empty image, which says nothing. */
static int image_open(const char *path, struct image *image)
{
	struct stat st;
	void *base;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fstat(fd, &st) ? -errno : 0;
	*image = (struct image){ .size = rc ? 0 : (size_t)st.st_size };
	if (!rc && image->size) {
		base = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
		rc = base == MAP_FAILED ? -errno : 0;
		image->base = rc ? NULL : base;
	}
	close(fd);
	return rc;
}

static void image_close(struct image *image)
{
	if (image->base)
		munmap((void *)(uintptr_t)image->base, image->size);
}

/**
 * image_look() - what must go in front of LD_PRELOAD for the file at @path
 * @ret_static: it is a program without a dynamic linker; nothing can be preloaded
 */
static void image_look(const char *path, char *runtime, size_t size, bool *ret_static)
{
	struct image image = { 0 };
	const char *library;
	bool elf;

	*runtime = 0;
	*ret_static = false;
	if (image_open(path, &image))
		return;
	library = runtime_of_image(&image);
	if (library)
		snprintf(runtime, size, "%s", library);
	elf = image.size > SELFMAG && !memcmp(image.base, ELFMAG, SELFMAG);
	*ret_static = elf && !image_segment(&image, PT_INTERP, 0);
	image_close(&image);
}

/* ---- finding things ---- */

/* The library: beside this executable, in the build tree, installed next to it, configured. */
static int library_find(char buf[PATH_MAX])
{
	static const char *const places[] = {
		"",
		"../src/host/preload/",
		"../../src/host/preload/",
		"../lib/uiommufd/",
	};
	char dir[PATH_MAX], path[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	if (len < 0)
		return -errno;
	dir[len] = 0;
	*(strrchr(dir, '/') + 1) = 0;
	for (size_t i = 0; i <= ARRAY_SIZE(places); i++) {
		if (i < ARRAY_SIZE(places))
			snprintf(path, sizeof(path), "%s%s" LIBRARY, dir, places[i]);
		else
			snprintf(path, sizeof(path), PRELOAD_LIBDIR "/" LIBRARY);
		if (!access(path, R_OK) && realpath(path, buf))
			return 0;
	}
	return -ENOENT;
}

/* The program as execvp() would find it; -ENOENT, -EACCES. */
static int program_find(const char *program, char *buf, size_t size)
{
	const char *path = strchr(program, '/') ? "" : getenv("PATH");
	int rc = -ENOENT;

	if (!path)
		path = "/bin:/usr/bin";
	for (;;) {
		size_t len = strcspn(path, ":");
		int n = snprintf(buf, size, "%.*s%s%s", (int)len, path, len ? "/" : "", program);

		if (n > 0 && (size_t)n < size && !access(buf, F_OK)) {
			if (!access(buf, X_OK))
				return 0;
			rc = -EACCES;
		}
		if (!path[len])
			return rc;
		path += len + 1;
	}
}

/* ---- going ---- */

static int environment_set(const struct preload_opts *opts, const char *program,
			   const char *library)
{
	char own[256], theirs[256], text[256], list[3 * PATH_MAX];
	const char *before = getenv("LD_PRELOAD");
	bool is_static, unused;
	const char *runtime;
	int n;

	image_look(program, theirs, sizeof(theirs), &is_static);
	if (is_static) {
		say(opts, "%s: statically linked: nothing can be preloaded", program);
		return -ENOEXEC;
	}
	image_look(library, own, sizeof(own), &unused);
	runtime = *theirs ? theirs : own;
	n = snprintf(list, sizeof(list), "%s%s%s%s%s", runtime, *runtime ? ":" : "", library,
		     before && *before ? ":" : "", before ? before : "");
	if (n < 0 || (size_t)n >= sizeof(list) || preload_opts_format(opts, text, sizeof(text))) {
		say(opts, "LD_PRELOAD: too long");
		return -ENAMETOOLONG;
	}
	if (setenv("LD_PRELOAD", list, 1) || setenv(PRELOAD_ENV, text, 1)) {
		say(opts, "cannot set the environment: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

int preload_run(const struct preload_opts *opts, char *const argv[])
{
	char library[PATH_MAX], program[PATH_MAX];
	int rc;

	rc = library_find(library);
	if (rc) {
		say(opts, LIBRARY ": not found");
		return EXIT_NO_PRELOAD;
	}
	rc = program_find(argv[0], program, sizeof(program));
	if (rc) {
		say(opts, "%s: %s", argv[0], strerror(-rc));
		return rc == -ENOENT ? EXIT_NO_PROGRAM : EXIT_NO_EXEC;
	}
	if (environment_set(opts, program, library))
		return EXIT_NO_PRELOAD;
	execv(program, argv);
	say(opts, "%s: %s", program, strerror(errno));
	return EXIT_NO_EXEC;
}
