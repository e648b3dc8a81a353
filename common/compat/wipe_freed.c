/*
 * Passwords pass through buffers of libevent, OpenSSL and ourselves: overwrite
 * whatever is freed, so that who takes a process over later does not find those
 * of earlier clients in its heap.
 *
 * SPDX-License-Identifier: ISC
 */
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "common/compat/compat.h"

void
compat_wipe_freed(void)
{
#if defined(__GLIBC__) && defined(M_PERTURB)
	(void)mallopt(M_PERTURB, 0x5a);
#endif
}

void
compat_trim(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}
