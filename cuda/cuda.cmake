# The modules made of cuda/*.cu: `_cuda` by nvcc, and `_cuda_host`, their emulation, by the C++ compiler. Their bindings
# are the same objects.
set(cuda_sources cuda/stream.cu cuda/memory.cu cuda/graph.cu)
foreach(family IN LISTS families)
  list(APPEND cuda_sources cuda/${family}.cu)
endforeach()

function(dlcore_cuda_options target)
  target_compile_definitions(${target} PRIVATE DLCORE_DEVICE=cuda)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
    $<$<BOOL:${DLCORE_WERROR}>:-Werror>)
endfunction()

# A device module of the object library `kernels`.
function(dlcore_cuda_module name kernels)
  if(NOT TARGET bindings_cuda)
    dlcore_bindings(bindings_cuda)
    dlcore_cuda_options(bindings_cuda)
  endif()
  dlcore_module(${name} bindings_cuda ${kernels})
  dlcore_cuda_options(${name})
endfunction()

include(cuda/nvcc.cmake)
if(DLCORE_CUDA_HOST)
  include(cuda/emulate/emulate.cmake)
endif()
