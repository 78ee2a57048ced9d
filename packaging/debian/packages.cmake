# SPDX-License-Identifier: MIT
#
# Debian packages: cmake --preset debian && cmake --build --preset debian
#
#	cvq         both programs, manuals, completions, the systemd unit
#	libcvq0     the library; the programs do not need it
#	libcvq-dev  to build programs with it

set(library_package libcvq${CVQ_SOVERSION})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "The cvq authors")
set(CPACK_PACKAGE_CONTACT "The cvq authors")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL programs library development)
set(CPACK_COMPONENT_PROGRAMS_DESCRIPTION
	"cvq-mount shows a directory of PyTorch checkpoints as if every FP32 .pt
file had already been converted to FP16. Nothing is written, and nothing is
converted before it is read. cvq converts, lists, checks and proves the same
files without staying mounted.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
	"The library reads any range of the FP16 form of an FP32 checkpoint, without
PyTorch and without converting the rest.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
	"The library's header, which documents each function, and its pkg-config file.")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=") # what a program was built with, or later
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME cvq)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_DEPENDS fuse3)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS attr) # getfattr shows what is said of a file
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libcvq-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
	"${library_package} (= ${PROJECT_VERSION})")

# Debian wants each package to carry its licence.
function(install_licence component package)
	install(FILES LICENSE RENAME copyright COMPONENT ${component} EXCLUDE_FROM_ALL
		DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
endfunction()
install_licence(programs cvq)
install_licence(library ${library_package})
install_licence(development libcvq-dev)

include(CPack)
