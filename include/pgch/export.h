/// What a shared libpgch shows; everything else in it is hidden.
#pragma once

#define PGCH_EXPORT __attribute__((visibility("default")))
