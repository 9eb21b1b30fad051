// reduce_impl.h for NEON.
#include "anemone/kernels/reduce/reduce_impl.h"
