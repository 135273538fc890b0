# The service, the mirror and the policies: one image, three commands. `make up` builds it; see docs/SERVICE.md.
ARG PYTHON_IMAGE=python:3.13.7-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.lock pyproject.toml compose/service/requirements.py ./
# Of the lock only what runs: without the parts for tests, notebooks and documents. Nothing is resolved or compiled here.
RUN python requirements.py requirements.lock pyproject.toml http cli influx audit >runtime.lock \
 && python requirements.py requirements.lock pyproject.toml build >build.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement build.lock \
 && python -m venv --without-pip /opt/eventstore \
 && /opt/build/bin/pip --python /opt/eventstore/bin/python install --quiet --no-deps --require-hashes \
      --only-binary :all: --requirement runtime.lock
COPY LICENSE README.md ./
COPY eventstore eventstore
COPY projections projections
COPY gateways gateways
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/eventstore/bin/python install --quiet --no-deps --no-index /wheels/*.whl

FROM ${PYTHON_IMAGE}
# Nothing here installs anything any more.
RUN pip uninstall --quiet --yes --root-user-action ignore pip \
 && useradd --system --uid 10001 --user-group --home-dir /var/lib/eventstore --shell /usr/sbin/nologin eventstore \
 && install --directory --owner eventstore --group eventstore --mode 0700 /var/lib/eventstore \
 # Where compose stores the key of Prometheus: a new volume takes over its owner.
 && install --directory --owner eventstore --group eventstore --mode 0750 /key
COPY --from=build /opt/eventstore /opt/eventstore
# The key that signs snapshots lies below XDG_STATE_HOME: without one, each start folds the whole log.
ENV PATH=/opt/eventstore/bin:$PATH \
    EVENTSTORE_DATA=/var/lib/eventstore \
    XDG_STATE_HOME=/var/lib/eventstore/state \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/eventstore
VOLUME /var/lib/eventstore
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["eventstore"]
CMD ["serve", "--host", "0.0.0.0"]
