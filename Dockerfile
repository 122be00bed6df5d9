# The image of cognito-sidecar: dependencies first, by their hashes; then the program; no root, nothing to write.
#
#   docker build -t cognito-sidecar .
#   docker build -t cognito-sidecar:aws --build-arg EXTRAS=aws .       (with secrets from AWS Secrets Manager)
#   docker build -t cognito-sidecar:all --build-arg EXTRAS="aws redis" .     (and tokens shared by Redis or Valkey)
#   docker build --secret id=pip,src=pip.conf …                        (packages from a mirror of one's own)
#
# With SOURCE_DATE_EPOCH (docker) or --timestamp (buildah) the same sources give the same layers.

ARG PYTHON=python:3.15-slim

FROM ${PYTHON} AS dependencies
ARG EXTRAS=""
WORKDIR /src
COPY requirements/run.txt requirements/aws.txt requirements/redis.txt requirements/build.txt requirements/
# Each extra's lock holds run.txt's versions and its own packages. Whatever is not in a lock with its hash is refused.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    for lock in run ${EXTRAS}; do \
        pip wheel --disable-pip-version-check --no-cache-dir --require-hashes --no-deps --only-binary :all: \
            --wheel-dir /wheels --requirement "requirements/${lock}.txt" || exit 1; \
    done \
    && pip wheel --disable-pip-version-check --no-cache-dir --require-hashes --no-deps --only-binary :all: \
        --wheel-dir /build-wheels --requirement requirements/build.txt
# Compiled here, since nobody can do it later; by content, so that no time stamp is in it.
RUN python -m venv --without-pip /opt/cognito-sidecar \
    && pip --python /opt/cognito-sidecar/bin/python install --disable-pip-version-check --no-cache-dir --no-index \
        --no-deps --no-compile /wheels/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/cognito-sidecar/lib

FROM dependencies AS program
RUN pip install --disable-pip-version-check --no-cache-dir --no-index --no-deps /build-wheels/*.whl
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
RUN pip wheel --disable-pip-version-check --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
    && pip --python /opt/cognito-sidecar/bin/python install --disable-pip-version-check --no-cache-dir --no-index \
        --no-deps --no-compile --root /program /dist/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash -s /program /program

FROM ${PYTHON}
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="cognito-sidecar" \
      org.opencontainers.image.description="A local reverse proxy that attaches Amazon Cognito access tokens to requests" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=dependencies /opt/cognito-sidecar /opt/cognito-sidecar
COPY --from=program /program/opt/cognito-sidecar /opt/cognito-sidecar
ENV PATH=/opt/cognito-sidecar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root's.
USER 10001:10001
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["cognito-sidecar", "healthcheck"]
ENTRYPOINT ["cognito-sidecar"]
CMD ["run"]
