// optimizer_impl.h for NEON.
#include "anemone/kernels/optimizer/optimizer_impl.h"
