# docker build -f docker/cpu.Dockerfile -t previt .
# docker run --rm -v "$PWD:/work" previt pretrain --recipe mae.yaml
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip ca-certificates
WORKDIR /previt
COPY . .
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN tools/setup.sh && cmake --preset release -DPREVIT_BUILD_TESTS=OFF && cmake --build --preset release
RUN cd build/release && cpack -G TGZ && mkdir /package && \
    tar -xzf previt-*.tar.gz -C /package --strip-components=1

FROM debian:12-slim
COPY --from=build /package /opt/previt
ENV PATH=/opt/previt/bin:$PATH
WORKDIR /work
CMD ["pretrain", "--help"]
