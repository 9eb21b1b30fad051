// elementwise_impl.h for NEON.
#include "anemone/kernels/elementwise/elementwise_impl.h"
