# _cuda_host: the kernels of cuda/ in an emulation on this processor, and its self-test, in the folder DLCORE_CUDA_HOST;
# for tests, not installed.
set(emulated_sources cuda/emulate/emulate.cpp cuda/emulate/copies.cpp cuda/emulate/runtime.cpp cuda/emulate/graphs.cpp)
foreach(source IN LISTS cuda_sources)
  get_filename_component(file ${source} NAME_WE)
  set(emulated ${CMAKE_CURRENT_BINARY_DIR}/emulated/${file}.cpp)  # the compiler does not know .cu
  file(CONFIGURE OUTPUT ${emulated} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\"\n")
  list(APPEND emulated_sources ${emulated})
  if(file IN_LIST families)
    list(APPEND watched_sources ${emulated})
  endif()
endforeach()
add_library(kernels_cuda_host OBJECT ${emulated_sources})
set_target_properties(kernels_cuda_host PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_definitions(kernels_cuda_host PRIVATE DLCORE_DEVICE=cuda)
if(DLCORE_CUDA_HOST_RACES)  # every access of a kernel is looked at (races.cpp), and none may be merged with others
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "DLCORE_CUDA_HOST_RACES needs GCC")
  endif()
  target_sources(kernels_cuda_host PRIVATE cuda/emulate/races.cpp)
  target_compile_definitions(kernels_cuda_host PUBLIC DLCORE_RACES)
  set(watched -O1 -fno-tree-sra -fno-tree-vectorize -fno-store-merging -fsanitize=thread)
  set_source_files_properties(${watched_sources} cuda/emulate/selftest.cpp PROPERTIES COMPILE_OPTIONS "${watched}")
endif()
# A stack protector and _FORTIFY_SOURCE do not know fibers. A .cu file counts as a header here, and GCC warns of types
# that have members of an unnamed namespace of a header.
target_compile_options(kernels_cuda_host PRIVATE -O2 -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  -Wno-unknown-pragmas $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage> -U_FORTIFY_SOURCE
  $<$<BOOL:${DLCORE_WERROR}>:-Werror>)

dlcore_cuda_module(_cuda_host kernels_cuda_host)
set_target_properties(_cuda_host PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${DLCORE_CUDA_HOST} CUDA_RUNTIME_LIBRARY None)

add_executable(cuda_host_selftest cuda/emulate/selftest.cpp)
target_compile_definitions(cuda_host_selftest PRIVATE DLCORE_DEVICE=cuda)
target_compile_options(cuda_host_selftest PRIVATE -O2 -Wall -Wextra)
target_link_libraries(cuda_host_selftest PRIVATE kernels_cuda_host)
set_target_properties(cuda_host_selftest PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${DLCORE_CUDA_HOST})
message(STATUS "dlcore: building _cuda_host, the emulation of _cuda, in ${DLCORE_CUDA_HOST}")
