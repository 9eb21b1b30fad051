// optimizer_impl.h for any processor.
#include "anemone/kernels/optimizer/optimizer_impl.h"
