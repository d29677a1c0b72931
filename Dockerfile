# The image of kube9: docker build -t kube9 .   or: buildah bud -t kube9 .
#
# For a build that can be repeated give BASE by digest: --build-arg BASE=docker.io/library/python:3.11-slim-bookworm@sha256:…
# Python packages are pinned by hash in requirements-image.lock. No HEALTHCHECK: the chart's probes ask the recorder itself.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
COPY requirements-image.lock ./
RUN python -m pip install --quiet --no-compile --require-hashes --target /opt/kube9 --requirement requirements-image.lock
COPY pyproject.toml hatch_build.py queries.yaml README.md LICENSE ./
COPY schema schema
COPY kube9 kube9
RUN PYTHONPATH=/opt/kube9 python -m pip install --quiet --no-compile --no-deps --no-build-isolation --target /opt/kube9 .
# What kube9 never imports, largest first. tests/test_image.py runs every command without it.
#   kubernetes: all but 2 of its 126 MB are the asyncio client, and a class for each type and call of the API; kube9 reads lines of JSON
#   aiohttp … yarl: for that asyncio client
#   pygments, tzdata: colours of code that kube9 never shows, and time zones, which it has none of
#   hatchling … trove_classifiers: built the wheel
RUN cd /opt/kube9 && rm -rf bin \
    kubernetes/aio kubernetes/client/api kubernetes/client/models/v*.py \
    aiohttp* aiohappyeyeballs* aiosignal* frozenlist* multidict* propcache* yarl* \
    pygments* tzdata* \
    hatchling* pathspec* pluggy* packaging* trove_classifiers* \
    && find . -name tests -type d -prune -exec rm -rf {} + \
    && find . -name __pycache__ -type d -prune -exec rm -rf {} +

FROM ${BASE}
# Bytecode for the standard library too, which official images leave out: nothing can be written at run time, and each query
# would compile it anew. unchecked-hash: no file is looked at again to see whether it changed.
# Nothing is installed into a running container, so pip and what would bring it back go.
COPY --from=build /opt/kube9 /opt/kube9
RUN cd /usr/local/lib/python3.*/ \
    && rm -rf site-packages/* ensurepip idlelib lib2to3 tkinter turtledemo /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/bin/2to3* \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash . /opt/kube9 \
    && printf '#!/usr/local/bin/python -IS\nimport sys; sys.path.append("/opt/kube9"); from kube9.__main__ import main\nsys.exit(main())\n' > /usr/local/bin/kube9 \
    && chmod 755 /usr/local/bin/kube9 && ln -s kube9 /usr/local/bin/kube9-operator \
    && echo 'kube9:x:65532:65532:kube9:/nonexistent:/usr/sbin/nologin' >> /etc/passwd && echo 'kube9:x:65532:' >> /etc/group \
    && install -d -o 65532 -g 65532 -m 750 /data
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kube9" \
      org.opencontainers.image.description="The flight recorder for Kubernetes events" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV DB_PATH=/data
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/kube9"]
CMD ["serve"]
