// Follows a log in a browser: follow("/v1/follow?account=ACC1", record => …, is_connected => …)
export function follow(url, take, connected = () => {}) {
  let log = null;
  const source = new EventSource(url); // It connects again by itself, and resumes after the last position it has.
  source.onopen = () => connected(true);
  source.onerror = () => connected(false);
  source.addEventListener("log", ({ data }) => {
    const { log_id } = JSON.parse(data);
    if (log !== null && log !== log_id) source.close(); // Another log: its positions mean something else.
    log = log_id;
  });
  source.addEventListener("record", ({ data }) => take(JSON.parse(data)));
  return source;
}
const [position, connection, list] = ["position", "connection", "records"].map((id) => document.getElementById(id));
const show = (record) => {
  position.textContent = record.position;
  list.append(Object.assign(document.createElement("li"), { textContent: `${record.type} ${record.stream}` }));
};
follow("/v1/follow" + location.search, show, (is) => { connection.textContent = is ? "connected" : "not connected"; });
