/* SPDX-License-Identifier: MIT */
/*
 * Eventfds of programs that make something happen here: one that ends an
 * interrupt's masking, one that stands for a register write.  One thread waits
 * for all of them.
 */
#ifndef VFIO_WATCH_H
#define VFIO_WATCH_H

#include "base/types.h"

struct watch;
struct watcher;

/** watcher_create() - and its thread; 0, -ENOMEM, -EMFILE */
int watcher_create(struct watcher **ret_watcher);
/** watcher_destroy() - every watch is removed; NULL is a no-op */
void watcher_destroy(struct watcher *watcher);

/**
 * watch_add() - call @fn each time @fd is signalled, once for all signals there were meanwhile
 * @fd: an eventfd, taken over, also on failure; its count is taken to 0 before @fn
 * @fn: on the watcher's thread, no lock held; may not remove a watch
 * @ret_watch: set on success only; watch_remove() it
 * Return: 0, -ENOMEM.
 */
int watch_add(struct watcher *watcher, int fd, void (*fn)(void *data), void *data,
	      struct watch **ret_watch);
/** watch_remove() - when it returns, @fn does not run and never will; NULL is a no-op */
void watch_remove(struct watch *watch);

#endif
