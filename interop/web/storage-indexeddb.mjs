// A replica's records in IndexedDB, for browsers: one database a device, one row a record. Transactions
// on one store take effect in the order in which they were made, all or nothing.
function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

export class IndexedDBStorage {
  #db

  /** `name` is this device's for this document; whoever calls sees to it that nobody else uses it. */
  static async open(name) {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('records', { autoIncrement: true })
    return new IndexedDBStorage(await asked(request))
  }

  constructor(db) {
    this.#db = db
  }

  load() {
    return asked(this.#db.transaction('records').objectStore('records').getAll())
  }

  append(records) {
    const transaction = this.#db.transaction('records', 'readwrite', { durability: 'strict' })
    for (const record of records) transaction.objectStore('records').add(record)
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
    })
  }

  close() {
    this.#db.close()
  }
}
