/** Messages of a test, in a spacing that a proxy which writes them anew would lose. */
export const call = (id: unknown, name = "pay", more = "") =>
  `{"method" :"tools/call","id":${JSON.stringify(id)},"params":{"name":"${name}","arguments":{"n":1.0}${more}}, "jsonrpc":"2.0"}`;
export const answerTo = (id: unknown) =>
  `{ "result" : {"content":[], "n": 1.0e0} , "id":${JSON.stringify(id)}, "jsonrpc":"2.0" }`;
export const event = (data: string, id = "") => `${id}event: message\r\ndata: ${data}\r\n\r\n`;
export const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}';
export const changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';
export const errorIn = (body: string) => JSON.parse(body).error;
